//! Where do bytes come from? Captures, compression, text, folders, standard input.

//! What is kept, and how is it found again? Case directory, segments, indexes, journal, recovery.

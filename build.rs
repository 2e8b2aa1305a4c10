//! Tells cargo that the embedded folders are inputs: without this a new theme or keymap is not noticed.

fn main() {
    println!("cargo:rerun-if-changed=themes");
    println!("cargo:rerun-if-changed=keymaps");
}

//! The capture that runs in this process: following it, how it does, stopping it.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::tui::app::App;

/// The commands.
pub const TABLE: &[Command] = &[
    command("follow", "", "follow the capture: stay at the newest rows", follow),
    command("capture", "[stop]", "how the capture does; stop it", capture),
];

fn follow(app: &mut App, _: &str) -> Result<()> {
    app.follow_live()
}

fn capture(app: &mut App, args: &str) -> Result<()> {
    match args {
        "" => app.say_capture(),
        "stop" => app.stop_capture(),
        other => Err(Error::user(format!("`{other}` is nothing that a capture does")).hint(":capture, or :capture stop")),
    }
}

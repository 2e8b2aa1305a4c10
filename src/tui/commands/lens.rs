//! Opening a lens.

use super::{Command, command};
use crate::error::{Error, Result};
use crate::tui::app::App;
use crate::tui::lenses;

/// The commands.
pub const TABLE: &[Command] = &[
    command("lens_alerts", "", "alerts and notices", |app, _| open(app, "alerts")),
    command("lens_flows", "", "flows", |app, _| open(app, "flows")),
    command("lens_dns", "", "DNS transactions", |app, _| open(app, "dns")),
    command("lens_logs", "", "every other log", |app, _| open(app, "logs")),
    command("lens_reputation", "", "reputation lists", |app, _| open(app, "reputation")),
    command("lens_host", "", "inventory and scans of the host", |app, _| open(app, "host")),
    command("lens_packets", "", "packets of the row's flow", lens_packets),
    command("lens_all", "", "all sources, in corrected time", |app, _| open(app, "all")),
    command("lens", "NAME", "open a lens by its name", open),
];

fn open(app: &mut App, name: &str) -> Result<()> {
    let Some(lens) = lenses::ALL.iter().find(|l| l.name == name) else {
        let mut err = Error::user(format!("no lens is called {name}"));
        if let Some(near) = crate::error::nearest(name, lenses::ALL.iter().map(|l| l.name)) {
            err = err.hint(near);
        }
        return Err(err);
    };
    if lens.name == "packets" {
        return lens_packets(app, "");
    }
    app.set_lens(lens);
    Ok(())
}

fn lens_packets(app: &mut App, _: &str) -> Result<()> {
    if app.walk.here().step.lens == "packets" {
        return Ok(());
    }
    match app.selection().record {
        Some(record) => {
            app.go_packets(record);
            Ok(())
        }
        None => Err(Error::user("packets are of one flow: select a flow or an alert first")),
    }
}

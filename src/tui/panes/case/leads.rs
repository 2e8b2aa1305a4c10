//! The leads of the case screen: their rows, and below them what bears on the one under the cursor.

use super::{Case, Entry};
use crate::case::leads::{self, Lead, in_words};
use crate::model::decision::Decision;
use crate::tui::commands::leads::prompt;
use crate::tui::effect::Cx;
use crate::tui::paint::put;
use crate::tui::text;
use crate::tui::view::View;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Keys that do something here.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("lead_next", "next step"),
    ("lead_owner", "owner"),
    ("lead_for", "supports it"),
    ("lead_against", "contradicts it"),
    ("lead_state", "answered, dropped"),
    ("case_rename", "reword"),
    ("case_remove", "take back"),
];

/// Most lines that are said of a lead.
const LINES: u16 = 9;

/// A lead with what is said of it.
pub(super) struct Told {
    lead: Lead,
    lines: Vec<(String, &'static str)>,
}

/// Every lead, open ones first.
pub(super) fn told(decisions: &[Decision]) -> Vec<Told> {
    let tell = |lead: Lead| {
        let mut lines = Vec::new();
        let reason = if lead.reason.is_empty() { String::new() } else { format!(": {}", lead.reason) };
        lines.push((format!("{} {}{reason}", lead.state.name(), lead.kind()), "ui.text"));
        let step = if lead.next.is_empty() { "not said" } else { &lead.next };
        let owner = if lead.owner.is_empty() { "nobody" } else { &lead.owner };
        lines.push((format!("next: {step} (owner: {owner})"), "ui.text"));
        for (sign, role, list) in [("+", "verdict.benign", &lead.supports), ("-", "verdict.malicious", &lead.contradicts)] {
            lines.extend(list.iter().map(|ground| (format!("{sign} {}", in_words(ground, decisions)), role)));
        }
        if lead.supports.is_empty() && lead.contradicts.is_empty() {
            lines.push(("nothing supports or contradicts it yet".into(), "ui.dim"));
        }
        Told { lead, lines }
    };
    leads::leads(decisions).into_iter().map(tell).collect()
}

impl Told {
    /// As a row.
    pub(super) fn entry(&self) -> Entry {
        let lead = &self.lead;
        let said = |word: &str, text: &str| if text.is_empty() { String::new() } else { format!("; {word} {text}") };
        let end = if lead.is_open() { said("next:", &lead.next) } else { said("because:", &lead.reason) };
        Entry {
            id: lead.id,
            at: lead.at,
            who: if lead.owner.is_empty() { lead.who.clone() } else { lead.owner.clone() },
            head: lead.text.clone(),
            role: if lead.is_open() { "entity" } else { "ui.dim" },
            number: Some(format!("+{} -{}", lead.supports.len(), lead.contradicts.len())),
            body: format!("{}{end}", lead.state.name()),
            text: lead.text.clone(),
            about: None,
        }
    }
}

/// Lines below the rows, of so many of the screen.
pub(super) fn height(screen: u16) -> u16 {
    (screen / 3).clamp(1, LINES)
}

impl Case {
    /// Asks for what a command needs of the lead under the cursor. False: it is not about a lead, or has what it needs.
    pub(super) fn ask_lead(&self, command: &str, cx: &mut Cx) -> bool {
        let lead = self.entry().and_then(|e| self.told.iter().find(|t| t.lead.id == e.id));
        let Some(lead) = lead.filter(|_| cx.args.is_empty()).map(|t| &t.lead) else { return false };
        let Some(effect) = prompt(command, lead, "") else { return false };
        cx.push(effect);
        true
    }
    pub(super) fn draw_lead(&self, buf: &mut Buffer, area: Rect, view: &View) {
        let Some(told) = self.entry().and_then(|e| self.told.iter().find(|t| t.lead.id == e.id)) else { return };
        let width = usize::from(area.width.saturating_sub(2));
        let mut lines: Vec<(String, &str)> = Vec::new();
        lines.extend(text::wrap(&text::clean(&told.lead.text), width, 3).into_iter().map(|l| (l, "entity")));
        for (line, role) in &told.lines {
            let line: String = line.chars().take(500).collect();
            lines.push((text::clean(&line).into_owned(), role));
        }
        let room = usize::from(area.height);
        let beyond = lines.len().saturating_sub(room);
        if beyond > 0 {
            lines.truncate(room.saturating_sub(1));
            lines.push((format!("{} more: backtrail lead list", beyond + 1), "ui.dim"));
        }
        for (y, (line, role)) in (area.top()..area.bottom()).zip(&lines) {
            put(buf, area.x + 1, y, area.width.saturating_sub(1), line, view.theme.style(role));
        }
    }
}

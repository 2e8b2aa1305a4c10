//! The columns of a lens as they were chosen: which, in which order, how wide. Text in, columns out, and back: `start, src.ip, bytes:8`.
//! A name is that of one of the lens's own columns, else that of a field: every field can be a column.

use super::lenses::{self, Column, Lens, Show};
use crate::error::{Error, Result, nearest};
use crate::model::FieldId;
use crate::model::field::{self, Field, Type};

/// Most columns of a lens.
pub const MAX: usize = 40;
/// The narrowest and the widest column.
pub const WIDTHS: std::ops::RangeInclusive<u16> = 1..=200;
/// When space is short, columns of fields go after state, duration and app, before bytes.
const DROP: u8 = 3;

/// Something that can be a column.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// What it shows, and how wide it is if nobody says.
    pub column: Column,
    /// What it is.
    pub doc: &'static str,
}

/// A column that was chosen.
#[derive(Debug, Clone, Copy)]
pub struct Chosen {
    /// What it is.
    pub choice: Choice,
    /// Its width, if that was set.
    pub width: Option<u16>,
}

/// What can be a column of a lens: its own columns in their order, then every field.
pub fn known(lens: &Lens) -> Vec<Choice> {
    let own = |column: &Column| {
        let doc = match column.show {
            Show::Time => "when, corrected; with the day where the window crosses midnight",
            Show::Peer => "the other end; source and destination where no host is looked at",
            Show::Summary => "the record in one line",
            Show::Match => "quality of the join, or how many sources saw it",
            Show::Field([first, ..]) => doc_of(*first),
            Show::Size(id) | Show::All(id) => doc_of(id),
            Show::Field([]) => "",
            Show::Duration => doc_of(field::DURATION),
            Show::Kind => doc_of(field::KIND),
            Show::Source => doc_of(field::SOURCE),
        };
        Choice { name: column.title, column: *column, doc }
    };
    let mut out: Vec<Choice> = lens.columns.iter().map(own).collect();
    let general = [lenses::PEER, lenses::SUMMARY, lenses::MATCH];
    let more = general.iter().filter(|c| !lens.columns.iter().any(|o| o.show == c.show || o.title == c.title)).map(own);
    out.extend(more.collect::<Vec<_>>());
    for known in field::ALL {
        if !out.iter().any(|c| c.name == known.name) {
            out.push(Choice { name: known.name, column: of_field(known), doc: known.doc });
        }
    }
    out
}

fn doc_of(id: FieldId) -> &'static str {
    field::get(id).map_or("", |f| f.doc)
}

/// How a field is shown as a column.
fn of_field(known: &'static Field) -> Column {
    let (least, most) = match known.ty {
        Type::Addr => (15, 39),
        Type::Port | Type::Proto | Type::Bool => (5, 6),
        Type::Uint | Type::Bytes | Type::Float => (6, 10),
        Type::Span => (7, 10),
        Type::Severity => (4, 8),
        Type::Time => (12, 19),
        Type::Text => (8, 40),
    };
    let show = match (known.id, known.ty) {
        (field::START, _) => Show::Time,
        (field::DURATION, _) => Show::Duration,
        (field::KIND, _) => Show::Kind,
        (field::SOURCE, _) => Show::Source,
        (id, Type::Bytes) => Show::Size(id),
        (id, _) => Show::All(id),
    };
    // A heading of usual length is read in full, with the sign of sorting.
    let least = least.max((known.name.len() as u16 + 1).min(14));
    let right = matches!(known.ty, Type::Port | Type::Uint | Type::Bytes | Type::Span | Type::Float);
    Column { title: known.name, show, min: least, max: most.max(least), drop: DROP, right, fixed: false }
}

/// The field by which a column can be sorted, grouped, summed: of several the first that a record has. Empty: it has none.
pub fn fields(column: &Column) -> Vec<FieldId> {
    match column.show {
        Show::Time => vec![field::START],
        Show::Field(all) => all.to_vec(),
        Show::All(id) | Show::Size(id) => vec![id],
        Show::Duration => vec![field::DURATION],
        Show::Kind => vec![field::KIND],
        Show::Source => vec![field::SOURCE],
        Show::Peer | Show::Summary | Show::Match => Vec::new(),
    }
}

/// The fields that a name means here: those of the lens's own column, else the field.
pub fn named(lens: &Lens, name: &str) -> Result<Vec<FieldId>> {
    let found = match find(lens, name) {
        Ok(choice) => fields(&choice.column),
        // The ends of a row have columns of their own while no host is looked at.
        Err(_) if name == "destination" => vec![field::DST_IP],
        Err(err) => return Err(err),
    };
    if found.is_empty() {
        let hint = if name == "peer" { "src.ip or dst.ip" } else { "a field: bytes, dst.port, app" };
        return Err(Error::user(format!("{name} is made of several fields")).hint(hint));
    }
    Ok(found)
}

/// Whether the values of a field add up: bytes, packets and spans do, ports and numbers of rules do not.
pub fn adds_up(id: FieldId) -> bool {
    let named_numbers = [
        field::VLAN,
        field::VLAN_INNER,
        field::AS,
        field::SRC_AS,
        field::DST_AS,
        field::HTTP_STATUS,
        field::DNS_ID,
        field::SIGNATURE_ID,
        field::SIGNATURE_GID,
        field::SIGNATURE_REV,
        field::PID,
        field::PCAP_CNT,
        field::PLUGIN,
    ];
    let number = field::get(id).is_some_and(|f| matches!(f.ty, Type::Uint | Type::Bytes | Type::Span | Type::Float));
    number && !named_numbers.contains(&id)
}

/// What a name can be a column of.
pub fn find(lens: &Lens, name: &str) -> Result<Choice> {
    let all = known(lens);
    let canonical = field::find(name).map_or(name, |f| f.name);
    let by = |wanted: &str| all.iter().find(|c| c.name.eq_ignore_ascii_case(wanted)).copied();
    by(name).or_else(|| by(canonical)).ok_or_else(|| {
        let err = Error::user(format!("there is no column {}", super::text::fit(&super::text::clean(name), 40)));
        match nearest(name, all.iter().map(|c| c.name)) {
            Some(near) => err.hint(near),
            None => err.hint("columns lists what there is"),
        }
    })
}

/// Reads columns: names apart by commas or blanks, each with its width behind a colon if it has one.
pub fn parse(lens: &Lens, text: &str) -> Result<Vec<Chosen>> {
    let mut out: Vec<Chosen> = Vec::new();
    for word in text.split([',', ' ', '\t']).filter(|w| !w.is_empty()) {
        let (name, width) = match word.rsplit_once(':') {
            Some((name, width)) => (name, Some(read_width(width)?)),
            None => (word, None),
        };
        let choice = find(lens, name)?;
        if out.iter().any(|c| c.choice.name == choice.name) {
            return Err(Error::user(format!("{} stands twice", choice.name)));
        }
        out.push(Chosen { choice, width });
    }
    match out.len() {
        0 => Err(Error::user("a lens has at least one column").hint("columns default")),
        n if n > MAX => Err(Error::user(format!("{n} columns are too many")).hint(format!("at most {MAX}"))),
        _ => Ok(out),
    }
}

/// Reads a width in columns of the screen.
pub fn read_width(text: &str) -> Result<u16> {
    let width = text.parse().ok().filter(|w| WIDTHS.contains(w));
    width.ok_or_else(|| Error::user(format!("{text} is no width")).hint(format!("{} to {}", WIDTHS.start(), WIDTHS.end())))
}

/// The columns that a lens has if nobody chooses.
pub fn usual(lens: &Lens) -> Vec<Chosen> {
    known(lens).into_iter().take(lens.columns.len()).map(|choice| Chosen { choice, width: None }).collect()
}

/// As text, which [`parse`] reads back.
pub fn text(chosen: &[Chosen]) -> String {
    let one = |c: &Chosen| c.width.map_or_else(|| c.choice.name.to_owned(), |w| format!("{}:{w}", c.choice.name));
    chosen.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The columns of what was chosen, with the widths that were set.
pub fn columns(chosen: &[Chosen]) -> Vec<Column> {
    let one = |c: &Chosen| match c.width {
        Some(width) => Column { min: width, max: width, fixed: true, ..c.choice.column },
        None => c.choice.column,
    };
    chosen.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_reads_back_and_every_field_can_be_a_column_of_every_lens() {
        for lens in lenses::ALL.iter().filter(|l| !l.columns.is_empty()) {
            let usual = usual(lens);
            assert_eq!(text(&parse(lens, &text(&usual)).unwrap()), text(&usual), "{}", lens.name);
            let names: Vec<&str> = known(lens).iter().map(|c| c.name).collect();
            let mut once = names.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), names.len(), "{}", lens.name);
            for known in field::ALL {
                let choice = find(lens, known.name).unwrap();
                assert!(choice.column.min > 0 && choice.column.max >= choice.column.min);
                assert!(known.aliases.iter().all(|alias| find(lens, alias).is_ok()), "{}", known.name);
            }
        }
        let flows = lenses::find("flows");
        assert_eq!(text(&parse(flows, "start,ip.src  bytes:8").unwrap()), "start, src.ip, bytes:8");
        for wrong in ["", "start, start", "start, ts", "bytes:0", "bytes:x", "byts"] {
            assert!(parse(flows, wrong).is_err(), "{wrong}");
        }
        assert!(parse(flows, "byts").unwrap_err().hint.contains("bytes"));
    }

    #[test]
    fn columns_of_fields_give_way_after_state_duration_and_app_and_never_time_peer_or_name() {
        let flows = lenses::find("flows");
        let chosen = parse(flows, "start, peer, bytes, state, app, dur, name, vlan").unwrap();
        let all = lenses::columns(&columns(&chosen), true, false);
        let titles = |width| super::super::cells::fit(&all, false, width).iter().map(|(c, _)| c.title).collect::<Vec<_>>();
        assert_eq!(titles(120).len(), 8);
        assert_eq!(titles(63), ["start", "peer", "bytes", "app", "name", "vlan"]);
        assert_eq!(titles(57), ["start", "peer", "bytes", "name", "vlan"]);
        assert_eq!(titles(30), ["start", "peer", "name"]);
    }

    #[test]
    fn a_width_that_was_set_stays() {
        let flows = lenses::find("flows");
        let all = lenses::columns(&columns(&parse(flows, "start:9, peer:20, name").unwrap()), false, true);
        let widths: Vec<_> = super::super::cells::fit(&all, true, 150).iter().map(|(c, w)| (c.title, *w)).collect();
        assert_eq!(widths[..3], [("start", 9), ("source", 20), ("destination", 20)]);
    }

    #[test]
    fn a_name_means_the_fields_that_its_column_shows() {
        let flows = lenses::find("flows");
        assert_eq!(named(flows, "out").unwrap(), [field::BYTES_OUT]);
        assert_eq!(named(flows, "app").unwrap(), [field::APP, field::PROTO]);
        assert_eq!(named(flows, "destination").unwrap(), [field::DST_IP]);
        assert!(named(flows, "peer").unwrap_err().hint.contains("src.ip"));
        assert!(adds_up(field::BYTES) && adds_up(field::DURATION) && !adds_up(field::DST_PORT) && !adds_up(field::PID));
    }
}

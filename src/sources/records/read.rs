//! Reads what [`super::write`] wrote. Anything else is refused; damage is an error with its place, a value that cannot be understood is told
//! with its row. The vendor's reader runs on bytes that were looked over ([`super::pages`]) and behind the boundary for panics.

use super::{HEAD, Holds, KEY, Of, SCHEMA, Told, head, pages};
use crate::error::{Error, Result};
use crate::model::guard::quietly;
use crate::model::{EvidenceKey, FieldId, Kind, Record, RecordId, SourceId, Time, Value, field, proto};
use ::parquet::basic::Type as Physical;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of what a file says of itself at its end.
const FOOTER: u64 = 64 << 20;
/// Columns of a file.
const COLUMNS: usize = 4096;
/// Rows of a row group.
const ROWS: i64 = 1 << 22;
/// Rows that are decoded at a time.
const BATCH: usize = 2048;
/// Bytes of one text.
const TEXT: usize = 16 << 20;

/// What a row gave.
#[derive(Debug)]
pub enum Given {
    /// A record, its source by its place in [`Told::sources`]; and which of its values could not be understood, in words.
    Record(Box<Record>, Option<String>),
    /// Not a record: which row, from 0, and why.
    Not(u64, String),
}

/// A file of records, open.
pub struct Reader {
    path: PathBuf,
    handle: File,
    file: SerializedFileReader<File>,
    told: Told,
    /// Per column of the file.
    columns: Vec<(Of, bool)>,
}

impl Reader {
    /// Opens a file that backtrail exported.
    pub fn open(path: &Path) -> Result<Reader> {
        let failed = |e: std::io::Error| Error::io("cannot read the export", path, &e);
        let handle = File::open(path).map_err(failed)?;
        let meta = handle.metadata().map_err(failed)?;
        let mut ends = [[0; 4], [0; 4], [0; 4]];
        let whole = meta.is_file()
            && meta.len() >= 12
            && handle.read_exact_at(&mut ends[0], 0).is_ok()
            && handle.read_exact_at(&mut ends[1], meta.len() - 4).is_ok()
            && handle.read_exact_at(&mut ends[2], meta.len() - 8).is_ok();
        if !whole || ends[0] != *b"PAR1" || ends[1] != *b"PAR1" {
            let cut = whole && ends[0] == *b"PAR1";
            let what = if cut { "a Parquet file that was cut off" } else { "not a Parquet file" };
            return Err(Error::input(what)
                .at_path(path)
                .hint("give the folder or a file that `backtrail export --parquet` wrote"));
        }
        if u64::from(u32::from_le_bytes(ends[2])) > FOOTER.min(meta.len() - 8) {
            return Err(damaged(path, "what it says of itself is longer than any export's"));
        }
        let again = handle.try_clone().map_err(failed)?;
        let file = quietly(|| SerializedFileReader::new(again))
            .ok_or_else(|| damaged(path, "its reader gave up"))?
            .map_err(|e| damaged(path, &e.to_string()))?;
        let said = file.metadata().file_metadata().key_value_metadata();
        let value = |key: &str| said.into_iter().flatten().find(|kv| kv.key == key).and_then(|kv| kv.value.as_deref());
        let schema = value(&format!("{KEY}.schema"));
        if schema != Some(SCHEMA) {
            let by = file.metadata().file_metadata().created_by().unwrap_or("an unnamed program");
            let by: String = by.chars().filter(|c| !c.is_control()).take(80).collect();
            let what = match schema {
                Some(other) => format!("this export has the layout {}, this backtrail reads {SCHEMA}", other.escape_debug()),
                None => format!("this Parquet file was not exported by backtrail but written by {by}"),
            };
            let hint = "an import needs ids, sources and evidence of each record, as `backtrail export --parquet` writes them; rows of \
                        another program can come in as CSV or JSON Lines: backtrail ingest FILE";
            return Err(Error::input(what).at_path(path).hint(hint));
        }
        let told = value(KEY).and_then(|json| serde_json::from_str::<Told>(json).ok());
        let told = told.ok_or_else(|| damaged(path, "what it says of itself cannot be understood"))?;
        let columns = columns(&file, &told).map_err(|what| damaged(path, &what))?;
        Ok(Reader { path: path.to_owned(), handle, file, told, columns })
    }
    /// What it says of itself.
    pub fn told(&self) -> &Told {
        &self.told
    }
    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Rows that it says it has.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }
    /// Gives the records of evidence that is wanted, in the file's order, and what is no record; `stop` is asked now and then.
    pub fn each(
        &self,
        wanted: &dyn Fn(EvidenceKey) -> bool,
        stop: &dyn Fn() -> bool,
        each: &mut dyn FnMut(Given) -> Result<()>,
    ) -> Result<()> {
        let mut first = 0u64;
        for group in 0..self.file.metadata().num_row_groups() {
            let wrong = |what: &str| damaged(&self.path, &format!("row group {group}: {what}"));
            let meta = self.file.metadata().row_group(group);
            let rows = Some(meta.num_rows()).filter(|n| (0..=ROWS).contains(n)).and_then(|n| usize::try_from(n).ok());
            let rows = rows.ok_or_else(|| wrong("its number of rows is not believable"))?;
            if meta.num_columns() != self.columns.len() {
                return Err(wrong("it has other columns than the file"));
            }
            for column in meta.columns() {
                pages::check(&self.handle, column).map_err(|what| wrong(&what))?;
            }
            let opened = quietly(|| {
                let group = self.file.get_row_group(group)?;
                (0..self.columns.len()).map(|n| group.get_column_reader(n).map(|r| Column::new(r, self.columns[n].1))).collect()
            });
            let mut open: Vec<Column> = told(opened).map_err(|what| wrong(&what))?;
            let mut done = 0;
            while done < rows {
                if stop() {
                    return Err(Error::cancelled());
                }
                let want = BATCH.min(rows - done);
                for column in &mut open {
                    let got = told(quietly(|| column.read(want))).map_err(|what| wrong(&what))?;
                    if got != want {
                        return Err(wrong("a column is shorter than the others"));
                    }
                }
                for row in 0..want {
                    let at = first + (done + row) as u64;
                    let given = self.row(&mut open, at, wanted).ok_or_else(|| wrong("a column has fewer values than it says"))?;
                    if let Some(given) = given {
                        each(given)?;
                    }
                }
                done += want;
            }
            first = first.saturating_add(rows as u64);
        }
        Ok(())
    }

    /// The next row; `None` inside: it is not wanted, outside: values are missing.
    fn row(&self, open: &mut [Column], at: u64, wanted: &dyn Fn(EvidenceKey) -> bool) -> Option<Option<Given>> {
        let mut values: Vec<(Of, One)> = Vec::new();
        for (column, (of, _)) in open.iter_mut().zip(&self.columns) {
            column.take(*of, &mut values)?;
        }
        Some(match self.record(values, wanted) {
            Ok(given) => given.map(|(record, unread)| Given::Record(Box::new(record), unread)),
            Err(what) => Some(Given::Not(at, what)),
        })
    }

    #[allow(clippy::type_complexity, reason = "a record and a remark, or not wanted, or why not")]
    fn record(
        &self,
        values: Vec<(Of, One)>,
        wanted: &dyn Fn(EvidenceKey) -> bool,
    ) -> std::result::Result<Option<(Record, Option<String>)>, String> {
        let (mut texts, mut times, mut len) = ([""; 4], [None; 4], None);
        for (of, one) in &values {
            match (of, one) {
                (Of::Head(n @ head::ID..=head::EVIDENCE), One::Bytes(b)) => {
                    texts[*n] = std::str::from_utf8(b.data()).map_err(|_| format!("column `{}` is not text", HEAD[*n].0))?;
                }
                (Of::Head(n @ head::START..=head::RAW_END), One::Int(t)) => times[n - head::START] = Some(Time(*t)),
                (Of::Head(head::LENGTH), One::Int(n)) => len = u32::try_from(*n).ok(),
                _ => {}
            }
        }
        let id = texts[head::ID].parse::<RecordId>().ok().filter(|id| id.offset < 1 << 48).ok_or("column `id` is not an id")?;
        if !wanted(id.evidence) {
            return Ok(None);
        }
        let kind = Kind::parse(texts[head::KIND]).ok_or("column `kind` is not a kind")?;
        let source = self.told.sources.iter().position(|s| s.name == texts[head::SOURCE]);
        let source = source.ok_or("column `source` is not one of the export's sources")?;
        let [Some(start), Some(end), raw_start, raw_end] = times else { return Err("it has no time".to_owned()) };
        let mut record = Record::new(kind, id, SourceId(source as u32), raw_start.unwrap_or(start));
        record.end = raw_end.unwrap_or(end);
        record.len = len.ok_or("column `origin.length` is not a length")?;
        let mut unread = None;
        for (of, one) in values {
            let Of::Field(id, holds) = of else { continue };
            // What is computed or decided when a question is asked is computed there.
            if field::get(id).is_some_and(|f| !matches!(f.place, field::Place::One | field::Place::Many)) {
                continue;
            }
            match one.value(holds) {
                Some(value) => record.fields.push((id, value)),
                None => unread = Some(format!("a value of `{}` is not of its type", field::name(id))),
            }
        }
        record.fields.sort_by_key(|(id, _)| *id);
        Ok(Some((record, unread)))
    }
}

/// What each column of the file is, by what it says of them.
fn columns(file: &SerializedFileReader<File>, told: &Told) -> std::result::Result<Vec<(Of, bool)>, String> {
    let schema = file.metadata().file_metadata().schema_descr();
    if schema.num_columns() != told.columns.len() || told.columns.len() > COLUMNS {
        return Err("it has other columns than it says".to_owned());
    }
    let mut out = Vec::new();
    for (n, told) in told.columns.iter().enumerate() {
        let column = schema.column(n);
        let wrong = || format!("its column {n} is not what it says");
        let holds = Holds::parse(&told.holds).ok_or_else(wrong)?;
        let physical = match holds {
            Holds::Bool => Physical::BOOLEAN,
            Holds::Uint | Holds::Time => Physical::INT64,
            Holds::Float => Physical::DOUBLE,
            _ => Physical::BYTE_ARRAY,
        };
        let of = match told.field {
            Some(id) => Of::Field(FieldId(id), holds),
            None => Of::Head(HEAD.iter().position(|h| h.0 == told.name && h.1 == holds).ok_or_else(wrong)?),
        };
        let levels = (column.max_def_level(), column.max_rep_level());
        let shape = if told.list { levels == (2, 1) } else { levels.1 == 0 && levels.0 <= 1 };
        if column.path().parts().first() != Some(&told.name) || column.physical_type() != physical || !shape {
            return Err(wrong());
        }
        out.push((of, told.list));
    }
    let has = |n: usize| out.iter().any(|(of, list)| *of == Of::Head(n) && !list);
    let missing = [head::ID, head::KIND, head::SOURCE, head::START, head::END, head::LENGTH].into_iter().find(|n| !has(*n));
    missing.map_or(Ok(out), |n| Err(format!("it has no column `{}`", HEAD[n].0)))
}

/// What a guarded call gave, with its failure in words.
fn told<T>(called: Option<::parquet::errors::Result<T>>) -> std::result::Result<T, String> {
    called.ok_or("its reader gave up")?.map_err(|e: ParquetError| e.to_string())
}

fn damaged(path: &Path, what: &str) -> Error {
    let what: String = what.chars().filter(|c| !c.is_control()).take(300).collect();
    Error::input(format!("the export is damaged: {what}"))
        .at_path(path)
        .hint("copy it again, or export it again; compare the SHA-256")
}

/// A value as it stands in a column.
enum One {
    Bool(bool),
    Int(i64),
    Real(f64),
    Bytes(ByteArray),
}

impl One {
    fn value(self, holds: Holds) -> Option<Value> {
        let text = |b: &ByteArray| std::str::from_utf8(b.data()).ok().filter(|t| t.len() <= TEXT).map(str::to_owned);
        Some(match (self, holds) {
            (One::Bool(yes), Holds::Bool) => Value::Bool(yes),
            (One::Int(n), Holds::Uint) => Value::Uint(n.cast_unsigned()),
            (One::Int(n), Holds::Time) => Value::Time(Time(n)),
            (One::Real(x), Holds::Float) => Value::Float(x),
            (One::Bytes(b), Holds::Text) => Value::Text(text(&b)?.into()),
            (One::Bytes(b), Holds::Addr) => Value::Addr(text(&b)?.parse().ok()?),
            (One::Bytes(b), Holds::Proto) => {
                let text = text(&b)?;
                Value::Uint(proto::parse(&text).map(u64::from).or_else(|| text.parse().ok())?)
            }
            (One::Bytes(b), Holds::Severity) => {
                let text = text(&b)?;
                Value::parse(&text, field::Type::Severity).or_else(|| text.parse().ok().map(Value::Uint))?
            }
            _ => return None,
        })
    }
}

enum Typed {
    Bool(ColumnReaderImpl<BoolType>, Vec<bool>),
    Int(ColumnReaderImpl<Int64Type>, Vec<i64>),
    Real(ColumnReaderImpl<DoubleType>, Vec<f64>),
    Bytes(ColumnReaderImpl<ByteArrayType>, Vec<ByteArray>),
    Other,
}

/// A column of a row group, some rows at a time.
struct Column {
    typed: Typed,
    list: bool,
    defined: Vec<i16>,
    repeated: Vec<i16>,
    rows: usize,
    level: usize,
    value: usize,
}

impl Column {
    fn new(reader: ColumnReader, list: bool) -> Column {
        let typed = match reader {
            ColumnReader::BoolColumnReader(r) => Typed::Bool(r, Vec::new()),
            ColumnReader::Int64ColumnReader(r) => Typed::Int(r, Vec::new()),
            ColumnReader::DoubleColumnReader(r) => Typed::Real(r, Vec::new()),
            ColumnReader::ByteArrayColumnReader(r) => Typed::Bytes(r, Vec::new()),
            _ => Typed::Other,
        };
        Column { typed, list, defined: Vec::new(), repeated: Vec::new(), rows: 0, level: 0, value: 0 }
    }
    /// Decodes the next rows; gives how many there were.
    fn read(&mut self, want: usize) -> ::parquet::errors::Result<usize> {
        self.defined.clear();
        self.repeated.clear();
        (self.level, self.value) = (0, 0);
        let (defined, repeated) = (Some(&mut self.defined), Some(&mut self.repeated));
        macro_rules! read {
            ($reader:expr, $values:expr) => {{
                $values.clear();
                $reader.read_records(want, defined, repeated, $values)?.0
            }};
        }
        self.rows = match &mut self.typed {
            Typed::Bool(r, v) => read!(r, v),
            Typed::Int(r, v) => read!(r, v),
            Typed::Real(r, v) => read!(r, v),
            Typed::Bytes(r, v) => read!(r, v),
            Typed::Other => 0,
        };
        Ok(self.rows)
    }
    fn one(&mut self) -> Option<One> {
        let at = self.value;
        self.value += 1;
        Some(match &self.typed {
            Typed::Bool(_, v) => One::Bool(*v.get(at)?),
            Typed::Int(_, v) => One::Int(*v.get(at)?),
            Typed::Real(_, v) => One::Real(*v.get(at)?),
            Typed::Bytes(_, v) => One::Bytes(v.get(at)?.clone()),
            Typed::Other => return None,
        })
    }
    /// Takes the values of the next row.
    fn take(&mut self, of: Of, out: &mut Vec<(Of, One)>) -> Option<()> {
        if !self.list {
            // Without levels every row has one.
            let has = self.defined.is_empty() || *self.defined.get(self.level)? > 0;
            self.level += 1;
            if has {
                out.push((of, self.one()?));
            }
            return Some(());
        }
        loop {
            if *self.defined.get(self.level)? == 2 {
                out.push((of, self.one()?));
            }
            self.level += 1;
            if self.repeated.get(self.level).is_none_or(|r| *r == 0) {
                return Some(());
            }
        }
    }
}

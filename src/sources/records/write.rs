//! Writes records as Parquet: columns are held for one row group, then written one after another. Memory is bounded by a row group.

use super::{HEAD, Holds, KEY, Of, SCHEMA, Told, head};
use crate::error::{Error, Result};
use crate::model::{FieldId, Record, Value};
use ::parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{KeyValue, SortingColumn};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::Type;
use hashbrown::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most rows of a row group.
const ROWS: usize = 1 << 16;
/// Bytes of values after which a row group ends.
const BYTES: usize = 48 << 20;

/// What is said of a record besides what it holds.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Name of its source.
    pub source: String,
    /// Path of its evidence.
    pub evidence: String,
    /// Its Community ID.
    pub community_id: Option<String>,
    /// Other sources that saw the same connection.
    pub seen_by: Vec<String>,
    /// Of a flow: whether it is the one that stands for its connection.
    pub counted: Option<bool>,
}

enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Real(Vec<f64>),
    Bytes(Vec<ByteArray>),
}

struct Column {
    values: Values,
    required: bool,
    list: bool,
    defined: Vec<i16>,
    repeated: Vec<i16>,
    /// Rows of the group that it has.
    rows: usize,
}

impl Column {
    fn new(holds: Holds, required: bool, list: bool) -> Column {
        let values = match holds {
            Holds::Bool => Values::Bool(Vec::new()),
            Holds::Uint | Holds::Time => Values::Int(Vec::new()),
            Holds::Float => Values::Real(Vec::new()),
            Holds::Addr | Holds::Text | Holds::Proto | Holds::Severity => Values::Bytes(Vec::new()),
        };
        Column { values, required, list, defined: Vec::new(), repeated: Vec::new(), rows: 0 }
    }
    /// Says that rows before this one have no value.
    fn pad(&mut self, row: usize) {
        if self.required || self.rows >= row {
            return;
        }
        let missing = row - self.rows;
        self.defined.extend(std::iter::repeat_n(0, missing));
        if self.list {
            self.repeated.extend(std::iter::repeat_n(0, missing));
        }
        self.rows = row;
    }
    /// A place for a value of a row.
    fn open(&mut self, row: usize) {
        self.pad(row);
        let more = self.rows > row;
        self.rows = row + 1;
        if self.list {
            self.defined.push(2);
            self.repeated.push(i16::from(more));
        } else if !self.required {
            self.defined.push(1);
        }
    }
    fn int(&mut self, row: usize, n: i64) {
        self.open(row);
        if let Values::Int(all) = &mut self.values {
            all.push(n);
        }
    }
    fn bool(&mut self, row: usize, yes: bool) {
        self.open(row);
        if let Values::Bool(all) = &mut self.values {
            all.push(yes);
        }
    }
    /// Gives the bytes that it takes.
    fn text(&mut self, row: usize, text: &str) -> usize {
        self.open(row);
        if let Values::Bytes(all) = &mut self.values {
            all.push(ByteArray::from(text));
        }
        text.len() + 40
    }
    fn value(&mut self, row: usize, holds: Holds, value: &Value) -> usize {
        match (value, holds) {
            (Value::Uint(n), Holds::Proto) => {
                let name = u8::try_from(*n).map_or_else(|_| n.to_string(), crate::model::proto::show);
                self.text(row, &name)
            }
            (_, Holds::Severity) => self.text(row, &value.show(crate::model::field::Type::Severity)),
            (Value::Bool(yes), _) => {
                self.bool(row, *yes);
                1
            }
            (Value::Uint(n), _) => {
                self.int(row, n.cast_signed());
                8
            }
            (Value::Time(t), _) => {
                self.int(row, t.0);
                8
            }
            (Value::Float(x), _) => {
                self.open(row);
                if let Values::Real(all) = &mut self.values {
                    all.push(*x);
                }
                8
            }
            (Value::Text(text), _) => self.text(row, text),
            (Value::Addr(_), _) => self.text(row, &value.to_string()),
        }
    }
}

/// Writes one file.
pub struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    path: PathBuf,
    columns: Vec<Column>,
    heads: [Option<usize>; HEAD.len()],
    fields: HashMap<(FieldId, Holds), usize>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file with these columns; `path` names it in errors. `told` is stored as it is.
    pub fn begin(out: W, path: &Path, columns: &[Of], told: &Told) -> Result<Writer<W>> {
        let failed = |e: ParquetError| error(&e, path);
        let mut fields = Vec::new();
        let (mut own, mut heads, mut by_field) = (Vec::new(), [None; HEAD.len()], HashMap::new());
        for (n, (of, told)) in columns.iter().zip(&told.columns).enumerate() {
            let (holds, required) = match of {
                Of::Head(at) => {
                    heads[*at] = Some(n);
                    (HEAD[*at].1, HEAD[*at].2)
                }
                Of::Field(id, holds) => {
                    by_field.insert((*id, *holds), n);
                    (*holds, false)
                }
            };
            fields.push(Arc::new(column_type(&told.name, holds, required, told.list).map_err(failed)?));
            own.push(Column::new(holds, required, told.list));
        }
        let start =
            heads[head::START].map(|n| vec![SortingColumn { column_idx: n as i32, descending: false, nulls_first: false }]);
        let json = serde_json::to_string(told).map_err(|e| Error::internal(format!("an export cannot be described: {e}")))?;
        let said = vec![KeyValue::new(format!("{KEY}.schema"), SCHEMA.to_owned()), KeyValue::new(KEY.to_owned(), json)];
        let schema = Type::group_type_builder("backtrail").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_created_by(told.program.clone())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(failed)?))
            .set_sorting_columns(start)
            .set_key_value_metadata(Some(said))
            .build();
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Writer { file, path: path.to_owned(), columns: own, heads, fields: by_field, rows: 0, bytes: 0 })
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record, beside: &Beside) -> Result<()> {
        let row = self.rows;
        let mut bytes = 0;
        let of = |n: usize| self.heads[n];
        let columns = &mut self.columns;
        for (n, text) in [
            (head::ID, record.id.to_string().as_str()),
            (head::KIND, record.kind.name()),
            (head::SOURCE, &beside.source),
            (head::EVIDENCE, &beside.evidence),
        ] {
            if let Some(at) = of(n) {
                bytes += columns[at].text(row, text);
            }
        }
        let shifted = record.shift != 0;
        let length = record.end.since(record.start).max(0);
        for (n, value) in [
            (head::START, Some(record.time().0)),
            (head::END, Some(record.until().0)),
            (head::RAW_START, shifted.then_some(record.start.0)),
            (head::RAW_END, shifted.then_some(record.end.0)),
            (head::DURATION, Some(length)),
            (head::LENGTH, Some(i64::from(record.len))),
        ] {
            if let (Some(at), Some(value)) = (of(n), value) {
                columns[at].int(row, value);
                bytes += 8;
            }
        }
        if let (Some(at), Some(id)) = (of(head::COMMUNITY_ID), &beside.community_id) {
            bytes += columns[at].text(row, id);
        }
        if let Some(at) = of(head::SEEN_BY) {
            bytes += beside.seen_by.iter().map(|name| columns[at].text(row, name)).sum::<usize>();
        }
        if let (Some(at), Some(counted)) = (of(head::COUNTED), beside.counted) {
            columns[at].bool(row, counted);
        }
        for (id, value) in &record.fields {
            let holds = Holds::of(*id, value);
            let at = self.fields.get(&(*id, holds)).copied();
            let column = at.map(|at| &mut self.columns[at]).filter(|c| c.list || c.rows <= row);
            let Some(column) = column else {
                return Err(Error::input("the case changed while it was exported").hint("export it again"));
            };
            bytes += column.value(row, holds, value);
        }
        self.rows += 1;
        self.bytes += bytes;
        if self.rows >= ROWS || self.bytes >= BYTES { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let rows = self.rows;
        self.columns.iter_mut().for_each(|c| c.pad(rows));
        let (file, columns) = (&mut self.file, &mut self.columns);
        let mut write = || {
            let mut group = file.next_row_group()?;
            for column in columns.iter_mut() {
                let Some(mut to) = group.next_column()? else { break };
                let defined = (!column.required).then_some(&column.defined[..]);
                let repeated = column.list.then_some(&column.repeated[..]);
                match &column.values {
                    Values::Bool(all) => to.typed::<BoolType>().write_batch(all, defined, repeated)?,
                    Values::Int(all) => to.typed::<Int64Type>().write_batch(all, defined, repeated)?,
                    Values::Real(all) => to.typed::<DoubleType>().write_batch(all, defined, repeated)?,
                    Values::Bytes(all) => to.typed::<ByteArrayType>().write_batch(all, defined, repeated)?,
                };
                to.close()?;
                match &mut column.values {
                    Values::Bool(all) => all.clear(),
                    Values::Int(all) => all.clear(),
                    Values::Real(all) => all.clear(),
                    Values::Bytes(all) => all.clear(),
                }
                column.defined.clear();
                column.repeated.clear();
                column.rows = 0;
            }
            group.close().map(|_| ())
        };
        write().map_err(|e| error(&e, &self.path))?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes what is held, and the end of the file.
    pub fn finish(mut self) -> Result<W> {
        self.end_group()?;
        let path = self.path.clone();
        self.file.into_inner().map_err(|e| error(&e, &path))
    }
}

fn error(e: &ParquetError, path: &Path) -> Error {
    Error::input(format!("cannot write the export: {e}")).at_path(path).hint("check the space on the disk and the permissions")
}

fn column_type(name: &str, holds: Holds, required: bool, list: bool) -> ::parquet::errors::Result<Type> {
    let (physical, logical) = match holds {
        Holds::Bool => (Physical::BOOLEAN, None),
        Holds::Uint => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Holds::Float => (Physical::DOUBLE, None),
        Holds::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Holds::Addr | Holds::Text | Holds::Proto | Holds::Severity => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let must = if required || list { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    let inner = if list { "element" } else { name };
    let value = Type::primitive_type_builder(inner, physical).with_repetition(must).with_logical_type(logical).build()?;
    if !list {
        return Ok(value);
    }
    let each =
        Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![Arc::new(value)]).build()?;
    Type::group_type_builder(name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(each)])
        .build()
}

//! The protobuf messages of an ONNX file, as views of its bytes.
//!
//! Field numbers are those of `onnx.proto3`. Only what decides the meaning of an inference graph is
//! kept. Nothing is allocated for a length before that many bytes are there, and nested graphs are
//! noted but not entered, so neither memory nor stack depend on what the file claims. (The parsers
//! on crates.io allocate claimed lengths or recurse without a limit.)

/// The most nodes, initializers, inputs or outputs of one graph.
const MAX_ITEMS: usize = 1 << 16;
/// The most attributes of a node, and dimensions of a tensor.
const MAX_SMALL: usize = 64;
/// The most elements in the typed fields of one tensor or attribute.
const MAX_VALUES: usize = 1 << 26;

/// Bytes that are not the message they should be.
#[derive(Debug)]
pub(super) struct Malformed {
    /// Where in the file.
    pub offset: usize,
    /// What was found.
    pub what: &'static str,
}

type Parsed<T> = Result<T, Malformed>;

/// `ModelProto`.
#[derive(Default)]
pub(super) struct Model<'a> {
    /// Domain and version of each operator set.
    pub opsets: Vec<(&'a str, i64)>,
    pub graph: Option<Graph<'a>>,
    /// Domain and name of each function that the model brings.
    pub functions: Vec<(&'a str, &'a str)>,
}

/// `GraphProto`.
#[derive(Default)]
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<TensorProto<'a>>,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
}

/// `NodeProto`.
#[derive(Default)]
pub(super) struct Node<'a> {
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub name: &'a str,
    pub op: &'a str,
    pub domain: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

/// `AttributeProto`.
#[derive(Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub int: Option<i64>,
    pub string: Option<&'a [u8]>,
    pub tensor: Option<TensorProto<'a>>,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
    /// The declared type, `AttributeProto.AttributeType`; 0 if absent.
    pub kind: i64,
}

/// `TensorProto`.
#[derive(Default)]
pub(super) struct TensorProto<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub raw: Option<&'a [u8]>,
    pub floats: Vec<f32>,
    pub doubles: Vec<f64>,
    pub int32s: Vec<i64>,
    pub int64s: Vec<i64>,
    /// Data in another file, or in a segment of one.
    pub external: bool,
}

/// `ValueInfoProto` of a tensor.
#[derive(Default)]
pub(super) struct ValueInfo<'a> {
    pub name: &'a str,
    pub element_type: i64,
    /// `None` if no shape is declared.
    pub dims: Option<Vec<Dim<'a>>>,
}

/// One dimension of a declared shape.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Dim<'a> {
    /// Nothing is said.
    #[default]
    Unknown,
    /// A name.
    Symbol(&'a str),
    /// A number.
    Size(i64),
}

/// A field's content by its wire type.
#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
    Bytes(Reader<'a>),
}

/// A message that is being read.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    /// Of the first of `bytes` in the file.
    offset: usize,
}

/// Parses a whole file.
pub(super) fn model(bytes: &[u8]) -> Parsed<Model<'_>> {
    let mut model = Model::default();
    Reader { bytes, offset: 0 }.fields(|number, field, at| {
        match number {
            7 if model.graph.is_some() => return Err(at.malformed("a second graph")),
            7 => model.graph = Some(graph(field.message(at)?)?),
            8 => push(&mut model.opsets, opset(field.message(at)?)?, MAX_ITEMS, at)?,
            25 => push(&mut model.functions, function(field.message(at)?)?, MAX_ITEMS, at)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(model)
}

fn opset(reader: Reader<'_>) -> Parsed<(&str, i64)> {
    let mut opset = ("", 0);
    reader.fields(|number, field, at| {
        match number {
            1 => opset.0 = field.text(at)?,
            2 => opset.1 = field.int(at)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(opset)
}

fn function(reader: Reader<'_>) -> Parsed<(&str, &str)> {
    let mut function = ("", "");
    reader.fields(|number, field, at| {
        match number {
            1 => function.1 = field.text(at)?,
            10 => function.0 = field.text(at)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(function)
}

fn graph(reader: Reader<'_>) -> Parsed<Graph<'_>> {
    let mut graph = Graph::default();
    reader.fields(|number, field, at| match number {
        1 => push(&mut graph.nodes, node(field.message(at)?)?, MAX_ITEMS, at),
        5 => push(&mut graph.initializers, tensor(field.message(at)?)?, MAX_ITEMS, at),
        11 => push(&mut graph.inputs, value_info(field.message(at)?)?, MAX_ITEMS, at),
        12 => push(&mut graph.outputs, value_info(field.message(at)?)?, MAX_ITEMS, at),
        _ => Ok(()),
    })?;
    Ok(graph)
}

fn node(reader: Reader<'_>) -> Parsed<Node<'_>> {
    let mut node = Node::default();
    reader.fields(|number, field, at| {
        match number {
            1 => push(&mut node.inputs, field.text(at)?, MAX_ITEMS, at)?,
            2 => push(&mut node.outputs, field.text(at)?, MAX_ITEMS, at)?,
            3 => node.name = field.text(at)?,
            4 => node.op = field.text(at)?,
            5 => push(&mut node.attributes, attribute(field.message(at)?)?, MAX_SMALL, at)?,
            7 => node.domain = field.text(at)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(node)
}

fn attribute(reader: Reader<'_>) -> Parsed<Attribute<'_>> {
    let mut attribute = Attribute::default();
    reader.fields(|number, field, at| {
        match number {
            1 => attribute.name = field.text(at)?,
            2 => attribute.float = Some(f32::from_le_bytes(field.fixed32(at)?)),
            3 => attribute.int = Some(field.int(at)?),
            4 => attribute.string = Some(field.message(at)?.bytes),
            5 if attribute.tensor.is_some() => return Err(at.malformed("a second tensor")),
            5 => attribute.tensor = Some(tensor(field.message(at)?)?),
            7 => field.fixed32s(at, |b| {
                push(&mut attribute.floats, f32::from_le_bytes(b), MAX_VALUES, at)
            })?,
            8 => field.ints(at, |v| push(&mut attribute.ints, v, MAX_VALUES, at))?,
            20 => attribute.kind = field.int(at)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(attribute)
}

fn tensor(reader: Reader<'_>) -> Parsed<TensorProto<'_>> {
    let mut tensor = TensorProto::default();
    reader.fields(|number, field, at| {
        match number {
            1 => field.ints(at, |v| push(&mut tensor.dims, v, MAX_SMALL, at))?,
            2 => tensor.data_type = field.int(at)?,
            3 | 13 => tensor.external = true,
            4 => field.fixed32s(at, |b| {
                push(&mut tensor.floats, f32::from_le_bytes(b), MAX_VALUES, at)
            })?,
            5 => field.ints(at, |v| push(&mut tensor.int32s, v, MAX_VALUES, at))?,
            7 => field.ints(at, |v| push(&mut tensor.int64s, v, MAX_VALUES, at))?,
            8 => tensor.name = field.text(at)?,
            9 if tensor.raw.is_some() => return Err(at.malformed("a second raw_data")),
            9 => tensor.raw = Some(field.message(at)?.bytes),
            10 => field.fixed64s(at, |b| {
                push(&mut tensor.doubles, f64::from_le_bytes(b), MAX_VALUES, at)
            })?,
            14 => tensor.external |= field.int(at)? != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(tensor)
}

fn value_info(reader: Reader<'_>) -> Parsed<ValueInfo<'_>> {
    let mut info = ValueInfo::default();
    reader.fields(|number, field, at| match number {
        1 => {
            info.name = field.text(at)?;
            Ok(())
        }
        // TypeProto; of its kinds only tensor_type is read.
        2 => field.message(at)?.fields(|number, field, at| match number {
            1 => field.message(at)?.fields(|number, field, at| {
                match number {
                    1 => info.element_type = field.int(at)?,
                    2 => info.dims = Some(shape(field.message(at)?)?),
                    _ => {}
                }
                Ok(())
            }),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(info)
}

fn shape(reader: Reader<'_>) -> Parsed<Vec<Dim<'_>>> {
    let mut dims = Vec::new();
    reader.fields(|number, field, at| {
        if number != 1 {
            return Ok(());
        }
        let mut dim = Dim::Unknown;
        field.message(at)?.fields(|number, field, at| {
            match number {
                1 => dim = Dim::Size(field.int(at)?),
                2 => dim = Dim::Symbol(field.text(at)?),
                _ => {}
            }
            Ok(())
        })?;
        push(&mut dims, dim, MAX_SMALL, at)
    })?;
    Ok(dims)
}

/// Where a field begins, for errors.
#[derive(Clone, Copy)]
struct At(usize);

impl At {
    fn malformed(self, what: &'static str) -> Malformed {
        Malformed { offset: self.0, what }
    }
}

fn push<T>(items: &mut Vec<T>, item: T, most: usize, at: At) -> Parsed<()> {
    if items.len() >= most {
        return Err(at.malformed("more repetitions of a field than are read"));
    }
    items.push(item);
    Ok(())
}

impl<'a> Field<'a> {
    fn int(self, at: At) -> Parsed<i64> {
        match self {
            // Negative numbers are sent as their two's complement in 64 bits.
            Field::Varint(value) => Ok(value as i64),
            _ => Err(at.malformed("not the number that the field should be")),
        }
    }

    fn fixed32(self, at: At) -> Parsed<[u8; 4]> {
        match self {
            Field::Fixed32(bytes) => Ok(bytes),
            _ => Err(at.malformed("not the float that the field should be")),
        }
    }

    fn message(self, at: At) -> Parsed<Reader<'a>> {
        match self {
            Field::Bytes(reader) => Ok(reader),
            _ => Err(at.malformed("not the bytes or message that the field should be")),
        }
    }

    fn text(self, at: At) -> Parsed<&'a str> {
        std::str::from_utf8(self.message(at)?.bytes)
            .map_err(|_| at.malformed("text that is not UTF-8"))
    }

    /// A repeated number, packed or not.
    fn ints(self, at: At, mut each: impl FnMut(i64) -> Parsed<()>) -> Parsed<()> {
        match self {
            Field::Bytes(mut packed) => {
                while !packed.bytes.is_empty() {
                    each(packed.varint()? as i64)?;
                }
                Ok(())
            }
            other => each(other.int(at)?),
        }
    }

    fn fixed32s(self, at: At, mut each: impl FnMut([u8; 4]) -> Parsed<()>) -> Parsed<()> {
        match self {
            Field::Bytes(mut packed) => {
                while !packed.bytes.is_empty() {
                    each(packed.array()?)?;
                }
                Ok(())
            }
            other => each(other.fixed32(at)?),
        }
    }

    fn fixed64s(self, at: At, mut each: impl FnMut([u8; 8]) -> Parsed<()>) -> Parsed<()> {
        match self {
            Field::Bytes(mut packed) => {
                while !packed.bytes.is_empty() {
                    each(packed.array()?)?;
                }
                Ok(())
            }
            Field::Fixed64(bytes) => each(bytes),
            _ => Err(at.malformed("not the double that the field should be")),
        }
    }
}

impl<'a> Reader<'a> {
    /// Calls `each` with the number, content and place of every field.
    fn fields(mut self, mut each: impl FnMut(u64, Field<'a>, At) -> Parsed<()>) -> Parsed<()> {
        while !self.bytes.is_empty() {
            let at = At(self.offset);
            let tag = self.varint()?;
            let field = match tag & 7 {
                0 => Field::Varint(self.varint()?),
                1 => Field::Fixed64(self.array()?),
                2 => {
                    let length = self.varint()?;
                    Field::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
                }
                5 => Field::Fixed32(self.array()?),
                _ => return Err(at.malformed("a wire type that protobuf 3 does not have")),
            };
            each(tag >> 3, field, at)?;
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Parsed<Reader<'a>> {
        let Some((taken, rest)) = self.bytes.split_at_checked(length) else {
            return Err(At(self.offset).malformed("a field that is longer than its message"));
        };
        let reader = Reader { bytes: taken, offset: self.offset };
        self.bytes = rest;
        self.offset += length;
        Ok(reader)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let at = At(self.offset);
        self.take(N)?.bytes.try_into().map_err(|_| at.malformed("a number that is cut off"))
    }

    fn varint(&mut self) -> Parsed<u64> {
        let at = At(self.offset);
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            // The tenth byte holds the last bit.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(at.malformed("a number of more than 64 bits"))
    }
}

//! Writes small ONNX files.

/// A protobuf message.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    pub fn int(self, field: u64, value: i64) -> Self {
        self.varint(field << 3).varint(value as u64)
    }

    pub fn float(self, field: u64, value: f32) -> Self {
        let mut message = self.varint(field << 3 | 5);
        message.0.extend(value.to_le_bytes());
        message
    }

    pub fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(value.len() as u64);
        message.0.extend(value);
        message
    }

    pub fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub fn ints(self, field: u64, values: &[i64]) -> Self {
        values.iter().fold(self, |message, &value| message.int(field, value))
    }
}

/// A FLOAT tensor with raw data.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Message::default().ints(1, dims).int(2, 1).text(8, name).bytes(9, &raw)
}

/// A DOUBLE tensor with raw data.
pub fn doubles(name: &str, dims: &[i64], values: &[f64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Message::default().ints(1, dims).int(2, 11).text(8, name).bytes(9, &raw)
}

/// An INT64 tensor with raw data.
pub fn ints(name: &str, dims: &[i64], values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Message::default().ints(1, dims).int(2, 7).text(8, name).bytes(9, &raw)
}

/// An attribute.
pub fn int(name: &str, value: i64) -> Message {
    Message::default().text(1, name).int(3, value).int(20, 2)
}

pub fn float(name: &str, value: f32) -> Message {
    Message::default().text(1, name).float(2, value).int(20, 1)
}

pub fn text(name: &str, value: &str) -> Message {
    Message::default().text(1, name).text(4, value).int(20, 3)
}

pub fn list(name: &str, values: &[i64]) -> Message {
    Message::default().text(1, name).ints(8, values).int(20, 7)
}

pub fn tensor(name: &str, value: Message) -> Message {
    Message::default().text(1, name).bytes(5, &value.0).int(20, 4)
}

/// A node named after its output.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[Message]) -> Message {
    let mut message = Message::default();
    for input in inputs {
        message = message.text(1, input);
    }
    message = message.text(2, output).text(3, &format!("{output}_node")).text(4, op);
    attributes.iter().fold(message, |message, a| message.bytes(5, &a.0))
}

/// A declared tensor; a dimension of -1 is the symbol `batch`.
pub fn value_info(name: &str, element_type: i64, dims: &[i64]) -> Message {
    let shape = dims.iter().fold(Message::default(), |shape, &dim| {
        let dim = if dim == -1 {
            Message::default().text(2, "batch")
        } else {
            Message::default().int(1, dim)
        };
        shape.bytes(1, &dim.0)
    });
    let tensor = Message::default().int(1, element_type).bytes(2, &shape.0);
    Message::default().text(1, name).bytes(2, &Message::default().bytes(1, &tensor.0).0)
}

/// A model from `x` to `y`.
#[derive(Clone)]
pub struct Model {
    opset: i64,
    graph: Message,
}

impl Model {
    /// With an input `x` of these dimensions and an output `y` of no declared shape.
    pub fn new(dims: &[i64]) -> Self {
        let output = Message::default().text(1, "y");
        Self::empty().field(11, value_info("x", 1, dims)).field(12, output)
    }

    pub fn empty() -> Self {
        Model { opset: 17, graph: Message::default() }
    }

    pub fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    /// Adds a field of the graph.
    pub fn field(mut self, number: u64, message: Message) -> Self {
        self.graph = self.graph.bytes(number, &message.0);
        self
    }

    pub fn constant(self, tensor: Message) -> Self {
        self.field(5, tensor)
    }

    pub fn node(self, op: &str, inputs: &[&str], output: &str, attributes: &[Message]) -> Self {
        self.field(1, node(op, inputs, output, attributes))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let opset = Message::default().text(1, "").int(2, self.opset);
        Message::default().int(1, 8).bytes(8, &opset.0).bytes(7, &self.graph.0).0
    }
}

"""Write a multilayer perceptron as ONNX, without the onnx package.

Only what such a file needs of protobuf is here: varints, and fields that carry a
length. Field numbers are those of onnx.proto; the names beside them are its names.
"""

FLOAT, INT = 1, 2  # TensorProto.DataType.FLOAT, AttributeProto.AttributeType.INT
IR_VERSION, OPSET = 7, 13


def varint(n):
    """A non-negative integer, seven bits a byte, lowest first."""
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    """One field: an int as a varint, a str or bytes with its length in front."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    """TensorProto: dims, data_type, name, raw_data (little-endian f32)."""
    dims = b"".join(field(1, d) for d in array.shape)
    raw = array.astype("<f4").tobytes()
    return dims + field(2, FLOAT) + field(8, name) + field(9, raw)


def value_info(name, width):
    """ValueInfoProto of a float tensor [N, width]; N stays symbolic."""
    shape = field(1, field(2, "N")) + field(1, field(1, width))
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def node(op, inputs, output, attributes=b""):
    """NodeProto: input, output, name, op_type, attribute."""
    head = b"".join(field(1, i) for i in inputs)
    return head + field(2, output) + field(3, output) + field(4, op) + attributes


def mlp(layers, output, hidden="relu"):
    """ModelProto of x -> Gemm -> Relu -> ... -> Gemm -> `output`.

    layers: pairs (W, b) with W of shape [out, in] and b of shape [out].
    hidden: relu, tanh, sigmoid or atan, the operator between them.
    """
    trans_b = field(5, field(1, "transB") + field(3, 1) + field(20, INT))
    nodes, weights, last = b"", b"", "x"
    for k, (w, b) in enumerate(layers, 1):
        end = k == len(layers)
        z = output if end else f"z{k}"
        nodes += field(1, node("Gemm", [last, f"W{k}", f"b{k}"], z, trans_b))
        weights += field(5, tensor(f"W{k}", w)) + field(5, tensor(f"b{k}", b))
        if not end:
            last = f"a{k}"
            nodes += field(1, node(hidden.capitalize(), [z], last))
    ends = field(11, value_info("x", layers[0][0].shape[1]))
    ends += field(12, value_info(output, layers[-1][0].shape[0]))
    graph = nodes + field(2, "mlp") + weights + ends
    opset = field(1, "") + field(2, OPSET)
    return field(1, IR_VERSION) + field(7, graph) + field(8, opset)


def save(path, layers, output, hidden="relu"):
    """Write `layers` to `path`; return the number of bytes."""
    with open(path, "wb") as file:
        return file.write(mlp(layers, output, hidden))

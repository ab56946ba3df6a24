//! `.nnet` and `.npz`.

use std::io::{Cursor, Write};
use std::path::Path;

use certus::import;
use certus_engine::model::Activation;

use crate::{apply, forward, is_exact};

const NNET: &str = "// A comment\n2,2,1,2,\n2,2,1,\n0,\n-1.0,-1.0,\n1.0,1.0,\n0.5,-1.0,3.0,\n2.0,4.0,0.5,\n\
                    1.0,2.0,\n-3.0,4.0,\n0.25,\n-0.5,\n1.0,-1.0,\n2.0,\n";

fn nnet(text: &str) -> certus::error::Result<certus::network::Network> {
    import::nnet(text.as_bytes(), Path::new("test.nnet"))
}

#[test]
fn nnet_folds_its_normalisation() {
    let network = nnet(NNET).unwrap();
    assert_eq!(network.layers.len(), 2);
    assert!(is_exact(&network), "ranges are powers of two");
    assert_eq!(network.layers[0].activation, Activation::Relu);
    assert_eq!(network.layers[1].activation, Activation::Identity);
    // x = (2.5, 3): normalised (1, 1), hidden (3.25, 0.5), 4.75, times 0.5 plus 3.
    assert_eq!(forward(&network, &[2.5, 3.0]), [5.375]);
    // Blank lines, spaces and missing trailing commas change nothing.
    let loose = NNET.replace(",\n", " \n\n").replace(',', " , ");
    assert_eq!(nnet(&loose).unwrap(), network);
}

#[test]
fn nnet_without_normalisation() {
    let text = NNET.replace("0.5,-1.0,3.0,\n2.0,4.0,0.5,", "0\n0");
    // (2.5, 3): hidden (8.75, 4), 6.75.
    assert_eq!(forward(&nnet(&text).unwrap(), &[2.5, 3.0]), [6.75]);
}

#[test]
fn nnet_rounds_with_a_bound() {
    let network = nnet(&NNET.replace("2.0,4.0,0.5,", "3.0,4.0,0.7,")).unwrap();
    let layer = &network.layers[0];
    let lost = (1.0 / 3.0 - f64::from(layer.weights[0])).abs();
    assert!(
        lost > 0.0
            && lost <= f64::from(layer.weight_error) * f64::from(layer.weights[0]) * (1.0 + 1e-6)
    );
    assert!(network.layers[1].weight_error > 0.0 && network.layers[1].bias_error > 0.0);
}

#[test]
fn nnet_refusals() {
    for (from, to, part) in [
        ("1.0,2.0,\n-3.0", "1.0,NaN,\n-3.0", "line 9: 'NaN'"),
        ("1.0,2.0,\n-3.0", "1.0,1e50,\n-3.0", "'1e50'"),
        ("1.0,2.0,\n-3.0", "1.0,\n-3.0", "line 9: 1 numbers; expected 2"),
        ("2,2,1,2,", "3,2,1,2,", "line 3: 3 layer sizes; expected 4"),
        ("2,2,1,\n", "2,2,1,3,\n", "line 3: 4 layer sizes; expected 3"),
        ("2,2,1,2,", "99999999,2,1,2,", "99999999 layers"),
        ("2,2,1,2,", "two", "line 2: 1 numbers; expected 4"),
        ("2,2,1,\n", "3,2,1,\n", "layer sizes [3, 2, 1]"),
        ("2,2,1,\n", "2,0,1,\n", "'0'"),
        ("2.0,4.0,0.5,", "2.0,0.0,0.5,", "a range of 0"),
        ("2.0,4.0,0.5,", "2.0,4.0,", "2 ranges; expected 3"),
        ("0.5,-1.0,3.0,", "0.5,", "1 means on line 7; expected 3"),
        ("1.0,-1.0,\n2.0,\n", "1.0,-1.0,\n", "the file ends; expected bias 1 of layer 2"),
        ("1.0,-1.0,\n2.0,\n", "1.0,-1.0,\n2.0,\n7.0\n", "after the last bias"),
    ] {
        assert!(NNET.contains(from), "{from}");
        let error = nnet(&NNET.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.starts_with("test.nnet: ") && error.contains(part), "{error} has no {part}");
    }
    assert!(import::nnet(&[0xff, 0xfe], Path::new("m")).is_err());
    let claims = "2,1000000,1,1000000\n1000000,60,1\n0\n0\n0\n0\n0\n1.0\n";
    assert!(nnet(claims).is_err());
    for end in 0..NNET.len() - 1 {
        let _ = nnet(&NNET[..end]);
    }
}

/// The bytes of a `.npy` file.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn f32s(shape: &str, values: &[f32]) -> Vec<u8> {
    npy("<f4", shape, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

fn f64s(shape: &str, values: &[f64]) -> Vec<u8> {
    npy("<f8", shape, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

fn words(values: &[&str]) -> Vec<u8> {
    let data: Vec<u8> = values
        .iter()
        .flat_map(|word| {
            let mut chars: Vec<u32> = word.chars().map(u32::from).collect();
            chars.resize(10, 0);
            chars.into_iter().flat_map(u32::to_le_bytes)
        })
        .collect();
    let shape = if values.len() == 1 { "()".to_owned() } else { format!("({},)", values.len()) };
    npy("<U10", &shape, &data)
}

/// A zip archive that stores these files.
fn archive(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let crc = |data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        crc.sum()
    };
    let mut out = Cursor::new(Vec::new());
    let mut directory = Vec::new();
    for (name, data) in arrays {
        let name = format!("{name}.npy");
        let offset = out.position() as u32;
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        common.extend(crc(data).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        out.write_all(b"PK\x03\x04").unwrap();
        out.write_all(&common).unwrap();
        out.write_all(name.as_bytes()).unwrap();
        out.write_all(data).unwrap();
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.position() as u32;
    out.write_all(&directory).unwrap();
    out.write_all(b"PK\x05\x06\x00\x00\x00\x00").unwrap();
    let count = (arrays.len() as u16).to_le_bytes();
    out.write_all(&[count, count].concat()).unwrap();
    out.write_all(&(directory.len() as u32).to_le_bytes()).unwrap();
    out.write_all(&start.to_le_bytes()).unwrap();
    out.write_all(&[0, 0]).unwrap();
    out.into_inner()
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> certus::error::Result<certus::network::Network> {
    import::npz(&archive(arrays), Path::new("test.npz"))
}

fn two_layers() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("W1", f32s("(2, 2)", &[1.0, 2.0, -3.0, 4.0])),
        ("b1", f32s("(2,)", &[0.5, -0.5])),
        ("W2", f32s("(1, 2)", &[1.0, -1.0])),
        ("b2", f32s("(1,)", &[2.0])),
    ]
}

#[test]
fn npz_of_weights_and_biases() {
    let network = npz(&two_layers()).unwrap();
    assert!(is_exact(&network));
    assert_eq!(network.layers[0].activation, Activation::Relu);
    assert_eq!(network.layers[1].activation, Activation::Identity);
    // (1, 1): (3.5, 0.5), 5.
    assert_eq!(forward(&network, &[1.0, 1.0]), [5.0]);
    let no_bias: Vec<_> =
        two_layers().into_iter().filter(|(name, _)| !name.starts_with('b')).collect();
    assert_eq!(npz(&no_bias).unwrap().layers[0].bias, [0.0, 0.0]);
}

#[test]
fn npz_with_activations() {
    let with = |array: Vec<u8>| npz(&[two_layers(), vec![("activation", array)]].concat());
    let of = |network: certus::network::Network| -> Vec<Activation> {
        network.layers.iter().map(|l| l.activation).collect()
    };
    let leaky = Activation::LeakyRelu(0.01);
    assert_eq!(of(with(words(&["leaky_relu"])).unwrap()), [leaky, Activation::Identity]);
    assert_eq!(
        of(with(words(&["identity", "relu"])).unwrap()),
        [Activation::Identity, Activation::Relu]
    );
    let codes =
        npy("<i8", "(2,)", &[1i64, 1].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
    assert_eq!(of(with(codes).unwrap()), [Activation::Relu, Activation::Relu]);
    let error = with(words(&["mish"])).unwrap_err().to_string();
    assert!(error.contains("array 'activation': 'mish'"), "{error}");
    assert!(with(words(&["relu", "relu", "relu"])).is_err());
    let sloped = [
        two_layers(),
        vec![("activation", words(&["leaky_relu"])), ("slope", f32s("()", &[0.25]))],
    ]
    .concat();
    assert_eq!(npz(&sloped).unwrap().layers[0].activation, Activation::LeakyRelu(0.25));
}

#[test]
fn npz_with_curved_activations() {
    let with = |activation: Vec<u8>, parameters: &[(&'static str, f32)]| {
        let parameters = parameters.iter().map(|&(name, value)| (name, f32s("()", &[value])));
        npz(&two_layers()
            .into_iter()
            .chain([("activation", activation)])
            .chain(parameters)
            .collect::<Vec<_>>())
    };
    let limits = [("clip_lo", -0.5), ("clip_hi", 1.5)];
    let kinds = [
        ("abs", Activation::Abs),
        ("sign", Activation::Sign),
        ("step", Activation::Step),
        ("clip", Activation::Clip(-0.5, 1.5)),
        ("elu", Activation::Elu(1.0)),
        ("softplus", Activation::Softplus),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("atan", Activation::Atan),
        ("silu", Activation::Silu),
        ("gelu", Activation::Gelu),
    ];
    for (code, (name, activation)) in (3i64..).zip(kinds) {
        let network = with(words(&[name]), &limits).unwrap();
        assert_eq!(network.layers[0].activation, activation, "{name}");
        assert_eq!(network.layers[1].activation, Activation::Identity, "{name}");
        let number = npy("<i8", "(1,)", &code.to_le_bytes());
        assert_eq!(with(number, &limits).unwrap(), network, "{name}");
        // (1, 0.25): z = (2, -2.5).
        let z = [2.0, -2.5].map(|z| apply(activation, z));
        assert_eq!(forward(&network, &[1.0, 0.25]), [z[0] - z[1] + 2.0], "{name}");
    }
    let scaled = with(words(&["elu"]), &[("elu_scale", 0.5)]).unwrap();
    assert_eq!(scaled.layers[0].activation, Activation::Elu(0.5));
    for (name, parameters, part) in [
        ("clip", &[][..], "'clip' without clip_lo and clip_hi"),
        ("clip", &[("clip_lo", 0.0)], "'clip' without"),
        ("clip", &[("clip_lo", 1.0), ("clip_hi", 1.0)], "limits 1 and 1"),
        ("clip", &[("clip_lo", f32::NAN), ("clip_hi", 1.0)], "NaN"),
        ("clip", &[("clip_lo", 0.0), ("clip_hi", 1e30)], "upper limit"),
        ("elu", &[("elu_scale", -1.0)], "scale -1"),
        ("elu", &[("elu_scale", 1e-42)], "0 or normal"),
        ("elu", &[("elu_scale", f32::INFINITY)], "scale inf"),
        ("relu", &[("scale", 1.0)], "'scale': not known"),
    ] {
        let error = with(words(&[name]), parameters).unwrap_err().to_string();
        assert!(error.contains(part), "{error} has no {part}");
    }
    let wide = [two_layers(), vec![("clip_lo", f32s("(2,)", &[0.0; 2]))]].concat();
    assert!(npz(&wide).unwrap_err().to_string().contains("'clip_lo'"));
}

#[test]
fn npz_by_columns() {
    let mut columns = two_layers();
    let stored: Vec<u8> = [1.0f32, -3.0, 2.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut array = npy("<f4", "(2, 2)", &stored);
    let order = array.windows(5).position(|w| w == b"False").unwrap();
    array[order..order + 5].copy_from_slice(b"True ");
    columns[0].1 = array;
    assert_eq!(npz(&columns).unwrap(), npz(&two_layers()).unwrap());
}

#[test]
fn npz_of_doubles_is_bounded() {
    let network =
        npz(&[("W1", f64s("(1, 2)", &[0.1, 0.5])), ("b1", f64s("(1,)", &[0.3]))]).unwrap();
    let layer = &network.layers[0];
    assert!((0.1 - f64::from(layer.weights[0])).abs() <= f64::from(layer.weight_error) * 0.1001);
    assert!((0.3 - f64::from(layer.bias[0])).abs() <= f64::from(layer.bias_error));
    assert!(layer.weight_error > 0.0 && layer.bias_error > 0.0);
}

#[test]
fn npz_refusals() {
    let replaced = |name: &'static str, array: Vec<u8>| {
        let mut arrays: Vec<_> = two_layers().into_iter().filter(|(n, _)| *n != name).collect();
        arrays.push((name, array));
        npz(&arrays).unwrap_err().to_string()
    };
    for (error, part) in [
        (replaced("W2", f32s("(1, 3)", &[0.0; 3])), "'W2': shape [1, 3]; expected 2 columns"),
        (replaced("W2", f32s("(2,)", &[0.0; 2])), "shape [2]; expected [out, in]"),
        (replaced("b1", f32s("(3,)", &[0.0; 3])), "'b1': shape [3]; expected [2]"),
        (replaced("W1", f32s("(2, 2)", &[0.0, f32::NAN, 0.0, 0.0])), "'W1': element 1 is NaN"),
        (replaced("b1", f32s("(2,)", &[0.0, f32::INFINITY])), "'b1': element 1 is inf"),
        (replaced("W1", f32s("(2, 2)", &[0.0; 3])), "'W1'"),
        (replaced("W1", npy("<i4", "(1,)", &[0; 4])), "expected f32 or f64"),
        (replaced("W1", f32s("(0, 2)", &[])), "expected 1 to"),
        (replaced("W1", f32s("(999999999, 999999999)", &[])), "'W1': shape [999999999, "),
        (replaced("W1", f32s("(999999999, 999999999, 999999999)", &[])), "expected at most"),
        (replaced("W1", f32s(&"(".repeat(100), &[])), "'W1', byte offset"),
        (replaced("W1", b"not numpy".to_vec()), "no .npy magic"),
        (replaced("W4", f32s("(1,)", &[0.0])), "'W4': not known"),
    ] {
        assert!(error.contains(part), "{error} has no {part}");
    }
    let error = npz(&[("X", f32s("(1,)", &[0.0]))]).unwrap_err().to_string();
    assert!(error.contains("no array 'W1'"), "{error}");
    let bytes = archive(&two_layers());
    for end in 0..bytes.len() {
        let _ = import::npz(&bytes[..end], Path::new("m"));
    }
    for i in 0..bytes.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[i] ^= flip;
            let _ = import::npz(&bytes, Path::new("m"));
        }
    }
}

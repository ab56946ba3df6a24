//! The models of other projects, where their folder is beside the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use certus::dataset::npz;
use certus::error::Result;
use certus::import;
use certus::network::Network;
use certus_engine::model::Activation;

use crate::{forward, is_exact};

/// The folder, or `None` with a note on what is skipped.
fn folder(what: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {what}; no {}", path.display());
    None
}

/// The operators of an inventory's row such as `Conv:2 Relu:1`.
fn operators(field: &str) -> Vec<&str> {
    field.split_whitespace().filter_map(|op| op.split(':').next()).collect()
}

fn load(path: &Path) -> Result<Network> {
    if path.extension().is_some_and(|e| e == "gz") {
        let mut bytes = Vec::new();
        let file = fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        return import::onnx(&bytes, path);
    }
    import::read(path)
}

/// Networks that are refused for another reason than an operator, and what the reason must name.
const OTHERWISE_REFUSED: [(&str, &str); 3] = [
    // Gemm of a value of rank 4, which ONNX does not have either.
    ("control/arch_comp2023/ACC/controller_5_20.onnx", "[1, 1, 1, 5]"),
    ("soundness/marabou_layer_zoo/constant.onnx", "does not depend on the input"),
    ("soundness/marabou_layer_zoo/dropout_training_mode_true.onnx", "training"),
];

#[test]
fn every_onnx_of_the_inventory() {
    const UNSUPPORTED: [&str; 1] = ["Softmax"];
    let Some(folder) = folder("the import of every ONNX file of the inventory") else { return };
    let inventory = fs::read_to_string(folder.join("INVENTORY_onnx.csv")).unwrap();
    let mut seen = BTreeMap::new();
    for line in inventory.lines().skip(1) {
        let fields: Vec<&str> = line.splitn(6, ',').collect();
        let [file, _, _, _, ops, _] = fields[..] else { panic!("line '{line}'") };
        let path = folder.join(file);
        if !path.exists() {
            eprintln!("skipped: {file}, which is not there");
            continue;
        }
        let unsupported: Vec<&str> =
            operators(ops).into_iter().filter(|op| UNSUPPORTED.contains(op)).collect();
        let otherwise = OTHERWISE_REFUSED.iter().find(|(name, _)| *name == file);
        let outcome = match (load(&path), otherwise) {
            (Ok(network), None) => {
                assert!(unsupported.is_empty(), "{file}: imported with {unsupported:?}");
                // Only these have arithmetic that may round.
                let arithmetic = ["Sub", "Div", "Mul", "BatchNormalization"];
                let scaled = operators(ops).iter().any(|op| arithmetic.contains(op))
                    || file.ends_with("gemm.onnx");
                assert!(is_exact(&network) || scaled, "{file}: approximated");
                "imported"
            }
            (Err(error), Some((_, part))) => {
                assert!(error.to_string().contains(part), "{error}");
                "refused otherwise"
            }
            (Err(error), None) => {
                let message = error.to_string();
                let named = unsupported.iter().any(|op| message.contains(&format!("({op}): ")));
                assert!(named, "{file}: {message}");
                "refused by an operator"
            }
            (Ok(_), Some(_)) => panic!("{file}: imported"),
        };
        *seen.entry(outcome).or_insert(0) += 1;
    }
    eprintln!("{seen:?}");
    assert!(seen.get("imported").is_some_and(|&n| n > 150), "{seen:?}");
}

/// The arrays of an `.npz` file as f64, with their shapes.
fn arrays(path: &Path, names: &[&str]) -> Vec<(Vec<usize>, Vec<f64>)> {
    let mut archive = npz::Archive::new(fs::read(path).unwrap(), path).unwrap();
    names
        .iter()
        .map(|name| {
            let array = archive.array(name).unwrap();
            (array.shape().to_vec(), array.f64s())
        })
        .collect()
}

#[test]
fn logits_of_the_reference() {
    let Some(folder) = folder("the reference logits") else { return };
    let mut compared = 0;
    for name in [
        "acas_shape",
        "mnist_784_500_10",
        "mnist_784_200_100_50_10",
        "mnist_3x1024",
        "mnist_4x1024",
    ] {
        let model = folder.join(format!("reference/{name}.onnx"));
        let stored = folder.join(format!("reference/{name}__linf.npz"));
        if !model.exists() || !stored.exists() {
            eprintln!("skipped: {name}, which is not there");
            continue;
        }
        let network = import::read(&model).unwrap();
        assert!(is_exact(&network));
        let mut read = arrays(&stored, &["X", "logits_f64"]).into_iter();
        let ((shape, inputs), (_, logits)) = (read.next().unwrap(), read.next().unwrap());
        let samples = shape[0];
        assert_eq!(inputs.len(), samples * network.inputs);
        for (x, expected) in inputs.chunks(network.inputs).zip(logits.chunks(network.outputs())) {
            let found = forward(&network, x);
            let scale = expected.iter().fold(0.0, |m: f64, y| m.max(y.abs()));
            for (a, b) in found.iter().zip(expected) {
                // Two f64 evaluations in different orders.
                assert!((a - b).abs() <= 1e-12 * scale, "{name}: {a} and {b}");
            }
            compared += 1;
        }
    }
    eprintln!("{compared} samples compared");
}

#[test]
fn nnet_and_onnx_of_one_controller() {
    let Some(folder) = folder("the .nnet files") else { return };
    let control = folder.join("control/arch_comp2023");
    let mut compared = 0;
    for (nnet, onnx) in [
        ("Airplane/controller_airplane.nnet", "Airplane/controller_airplane.onnx"),
        (
            "Double_Pendulum/controller_double_pendulum_less_robust.nnet",
            "Double_Pendulum/controller_double_pendulum_less_robust.onnx",
        ),
        (
            "Double_Pendulum/controller_double_pendulum_more_robust.nnet",
            "Double_Pendulum/controller_double_pendulum_more_robust.onnx",
        ),
        (
            "Single_Pendulum/controller_single_pendulum.nnet",
            "Single_Pendulum/controller_single_pendulum.onnx",
        ),
    ] {
        if !control.join(nnet).exists() || !control.join(onnx).exists() {
            eprintln!("skipped: {nnet}, which is not there");
            continue;
        }
        let (text, graph) = (
            import::read(&control.join(nnet)).unwrap(),
            import::read(&control.join(onnx)).unwrap(),
        );
        let x: Vec<f64> = (0..text.inputs).map(|i| 0.1 * (i as f64 + 1.0)).collect();
        let (a, b) = (forward(&text, &x), forward(&graph, &x));
        let scale = b.iter().fold(1.0, |m: f64, y| m.max(y.abs()));
        // The text has five decimals.
        assert!(
            a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-2 * scale),
            "{nnet}: {a:?} and {b:?}"
        );
        compared += 1;
    }
    for k in 1..=9 {
        let path =
            control.join(format!("VCAS/nnet_networks/VertCAS_noResp_pra0{k}_v9_20HU_200.nnet"));
        if path.exists() {
            let network = import::read(&path).unwrap();
            assert_eq!((network.inputs, network.outputs(), network.layers.len()), (3, 9, 6));
            assert_eq!(network.layers[0].activation, Activation::Relu);
            compared += 1;
        }
    }
    eprintln!("{compared} files read");
}

//! Old blobs stay readable, and what the format holds today is what it held then.

use std::path::Path;

use certus::blob::{self, WeightKind};
use certus::import;
use certus::network::{Affine, Network};
use certus_engine::bounds::{Method, Portable, Size, StaticWorkspace, lower_bounds};
use certus_engine::bounds::{Options, Workspace};
use certus_engine::include_model;
use certus_engine::model::{Activation, Model};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

/// Checked at compile time, as in firmware.
const F32: Model<'static> = include_model!("../golden/pendulum_v1.certus");
const F16: Model<'static> = include_model!("../golden/pendulum_v1_f16.certus");
const ZOO: Model<'static> = include_model!("../golden/zoo_v2.certus");
const SIZE: Size = F32.workspace(Method::Crown, 1);

fn pendulum() -> Network {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example/pendulum.onnx");
    import::read(&path).expect("the example is there")
}

#[test]
fn version_1_reads_as_it_was_written() {
    assert_eq!(blob::unpack(&F32), pendulum());
    let half = blob::pack(&pendulum(), WeightKind::F16).unwrap();
    assert_eq!(blob::unpack(&F16), blob::unpack(&Model::from_words(&half).unwrap()));
}

/// Every activation, the second layer with rows that pass by it.
fn zoo() -> Network {
    let activations = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.25),
        Activation::Abs,
        Activation::Sign,
        Activation::Step,
        Activation::Clip(-0.5, 6.0),
        Activation::Elu(1.5),
        Activation::Softplus,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Atan,
        Activation::Silu,
        Activation::Gelu,
    ];
    let layer = |(k, activation): (usize, &Activation)| Affine {
        rows: 2,
        cols: 2,
        weights: vec![1.0, -0.5, 0.25 * k as f32, 1.0],
        bias: vec![0.125, -1.0],
        activation: *activation,
        through: usize::from(k == 1),
        weight_error: 0.0,
        bias_error: 0.0,
    };
    Network { inputs: 2, layers: activations.iter().enumerate().map(layer).collect() }
}

#[test]
fn version_2_reads_as_it_was_written() {
    assert_eq!(blob::unpack(&ZOO), zoo());
    assert_eq!(blob::pack(&zoo(), WeightKind::F32).unwrap(), ZOO.words());
}

#[test]
fn a_static_workspace_of_the_computed_size_is_enough_and_one_float_less_is_not() {
    let mut memory = StaticWorkspace::<{ SIZE.floats }, { SIZE.indices }>::new();
    let region = Region::ball(&[0.1, -0.2], 0.02, Norm::Linf);
    let options = Options::new(Method::Crown);
    let mut out = [0.0; 2];
    let run = |workspace: Workspace<'_>, out: &mut [f32]| {
        lower_bounds(&mut Portable, &F32, &region, &Spec::Outputs, &options, workspace, out)
            .map(|bounds| bounds.work)
    };
    let work = run(memory.as_workspace(), &mut out).unwrap();
    assert!(out[0] > -2.1 && out[0] <= -out[1] && -out[1] < 2.1, "{out:?}");
    assert!(work.neurons > 0);
    let Workspace { floats, indices } = memory.as_workspace();
    let (_, short) = floats.split_first_mut().unwrap();
    assert!(run(Workspace { floats: short, indices }, &mut out).is_err());
}

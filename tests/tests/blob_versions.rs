//! Old blobs stay readable, and what the format holds today is what it held then.

use std::path::Path;

use certus::blob::{self, WeightKind};
use certus::import;
use certus_engine::bounds::{Method, Portable, Size, StaticWorkspace, lower_bounds};
use certus_engine::bounds::{Options, Workspace};
use certus_engine::include_model;
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

/// Checked at compile time, as in firmware.
const F32: Model<'static> = include_model!("../golden/pendulum_v1.certus");
const F16: Model<'static> = include_model!("../golden/pendulum_v1_f16.certus");
const SIZE: Size = F32.workspace(Method::Crown, 1);

fn pendulum() -> certus::network::Network {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/example/pendulum.onnx");
    import::read(&path).expect("the example is there")
}

#[test]
fn version_1_reads_as_it_was_written() {
    assert_eq!(blob::unpack(&F32), pendulum());
    assert_eq!(blob::pack(&pendulum(), WeightKind::F32).unwrap(), F32.words());
    assert_eq!(blob::pack(&pendulum(), WeightKind::F16).unwrap(), F16.words());
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

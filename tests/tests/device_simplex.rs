//! The simplex certificate as a device runs it.

use certus::blob::{WeightKind, pack};
use certus::cpu::Runner;
use certus_engine::bounds::{Portable, StaticWorkspace};
use certus_engine::model::{Activation, Model};
use certus_engine::region::Norm;
use certus_engine::simplex::{Query, Simplex, simplex, size};
use certus_tests::generate::policy;
use fastrand::Rng;

/// In 4 KiB, and the same bits as the host's for blocks of one row.
#[test]
fn a_policy_fits_4_kib_bit_for_bit() {
    let mut rng = Rng::with_seed(4);
    let mut settled = 0;
    for kind in [WeightKind::F32, WeightKind::F16] {
        let words = pack(&policy(&mut rng, Activation::Relu), kind).expect("a blob");
        let model = Model::from_words(&words).expect("checked");
        // What `size` asks for, as the constants that firmware would have.
        const FLOATS: usize = 4 * 132 + 64 + 3 * 64 + 3;
        const INDICES: usize = 132 + 2 * 3 + 1;
        assert_eq!((size(&model, 1).floats, size(&model, 1).indices), (FLOATS, INDICES));
        let mut workspace = StaticWorkspace::<FLOATS, INDICES>::new();
        assert!(size_of_val(&workspace) <= 4096);
        let mut runner = Runner::device(model);
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            for _ in 0..40 {
                let x: Vec<f32> = (0..12).map(|_| 2.0 * rng.f32() - 1.0).collect();
                let class = runner.predict(&x).expect("finite");
                let query = Query::margins(&x, norm, class);
                let mut nearest = [0.0; 12];
                let found: Simplex<3> =
                    simplex(&mut Portable, &model, &query, workspace.as_workspace(), &mut nearest)
                        .expect("fits");
                let host: Simplex<3> = runner.simplex(&query).expect("fits");
                assert_eq!(host.facets.as_slice(), found.facets.as_slice());
                assert_eq!(host.decisions.as_slice(), found.decisions.as_slice());
                assert_eq!(host.radius().to_bits(), found.radius().to_bits());
                assert_eq!(host.work, found.work);
                settled += usize::from(found.radius() > 0.0);
            }
        }
    }
    assert!(settled > 230, "{settled} of 240");
}

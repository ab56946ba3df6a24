//! Region search on trained networks: above the simplex certificate, below what it falsifies.

use certus::cpu::Runner;
use certus::geometry::search::{Budget, search};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::simplex::Query;
use certus_tests::oracle::forward;
use certus_tests::outside;
use certus_tests::rational::from_slice;

#[test]
fn radii_on_mnist_are_above_the_simplex_certificate() {
    let test = "radii_on_mnist_are_above_the_simplex_certificate";
    let Some(images) = outside::mnist(test, 2) else { return };
    let (lo, hi) = (vec![0.0; 784], vec![1.0; 784]);
    for name in ["mnist_MLP_2_100_NOR", "mnist_MLP_2_100_LPD"] {
        let path = format!("relax_barrier/experiment_2/{name}.onnx");
        let Some(path) = outside::find(test, &path) else { continue };
        let network = outside::network(&path);
        let words = outside::words(&network);
        let model = Model::from_words(&words).expect("packed here");
        let mut runner = Runner::new(model, false);
        for (x, _) in &images {
            let class = runner.predict(x).expect("finite outputs");
            for (norm, clip) in [
                (Norm::Linf, None),
                (Norm::L2, None),
                (Norm::L1, None),
                (Norm::L2, Some((&lo[..], &hi[..]))),
            ] {
                let query = Query { clip, ..Query::margins(x, norm, class) };
                let simplex = runner.simplex::<1>(&query).expect("simplex").radius();
                let mut before = f64::from(simplex);
                for regions in [1, 8] {
                    let budget = Budget { regions, programs: 40, ..Budget::default() };
                    let found = search(&model, x, class, norm, clip, &budget).expect("a search");
                    println!(
                        "{name} {norm:?} clipped {}: simplex {simplex:.6}, {} regions {:.6}",
                        clip.is_some(),
                        found.regions,
                        found.radius
                    );
                    assert!(found.radius >= before, "{name} {norm:?}: {found:?} after {before}");
                    if let Some(violation) = &found.violation {
                        assert!(found.radius <= violation.distance, "{name} {norm:?}");
                        let outputs = forward(&network, &from_slice(&violation.point));
                        let mut others = outputs.iter().enumerate().filter(|(j, _)| *j != class);
                        assert!(others.any(|(_, y)| *y >= outputs[class]), "{name} {norm:?}");
                    }
                    before = found.radius;
                }
            }
        }
    }
}

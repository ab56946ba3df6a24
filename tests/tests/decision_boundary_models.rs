//! The decision-boundary certificates on a trained network: their order, below every attack.

use certus::attack::{Attack, Cpu, Method, Nearest, Threat, Worker};
use certus::geometry::{DecisionBoundary, Denominator};
use certus_engine::model::Model;
use certus_engine::region::Norm;
use certus_engine::simplex::Query;
use certus_tests::outside;

#[test]
fn certificates_on_mnist_are_below_every_attack() {
    let test = "certificates_on_mnist_are_below_every_attack";
    let count = if outside::long() { 20 } else { 3 };
    let Some(images) = outside::mnist(test, count) else { return };
    let Some(path) = outside::find(test, "reference/mnist_784_500_10.onnx") else { return };
    let words = outside::words(&outside::network(&path));
    let model = Model::from_words(&words).expect("packed here");
    let certificate = DecisionBoundary::new(certus::blob::unpack(&model)).expect("two layers");
    let mut worker = Worker::new(model, true);
    let mut gradient = Cpu::new(model);
    for (index, (x, _)) in images.iter().enumerate() {
        let class = worker.runner.predict(x).expect("finite outputs");
        for norm in [Norm::L2, Norm::Linf, Norm::L1] {
            let whole = [Denominator::Product, Denominator::Smallest]
                .map(|d| certificate.radius(x, class, norm, d).expect("radius"));
            let local = certificate.local(x, class, norm).expect("radius");
            let query = Query::margins(x, norm, class);
            let simplex = worker.runner.simplex::<1>(&query).expect("simplex").radius();
            let simplex = f64::from(simplex);
            assert!(whole[0] <= whole[1] && whole[1] <= local && local > 0.0, "{norm:?} {whole:?}");
            assert!(simplex * (1.0 - 1e-6) <= local, "{norm:?}: {simplex} above {local}");
            let threat = Threat { center: x, epsilon: f64::INFINITY, norm, clip: None };
            let runner = &mut worker.runner;
            let nearest =
                Nearest::default().run(&mut gradient, runner, &threat, class, index, local);
            let nearest = nearest.expect("an attack without a box succeeds").distance();
            println!("{norm:?}: {whole:?} {simplex:.3e} {local:.3e} <= {nearest:.3e}");
            assert!(local <= nearest, "image {index} {norm:?}: {local} above {nearest}");
            for method in [Method::DeepFool, Method::Ifgsm, Method::Pgd] {
                let threat = Threat { epsilon: 2.0 * nearest, ..threat };
                let found = Attack::new(method).run(&mut worker, &threat, class, index).witness;
                let distance = found.map_or(f64::INFINITY, |witness| witness.distance());
                assert!(local <= distance, "image {index} {norm:?}: {local} above {distance}");
            }
        }
    }
}

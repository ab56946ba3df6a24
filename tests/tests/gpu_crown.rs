//! scratch
use certus::cpu::Runner;
use certus::gpu::{Adapters, Capacity, Crown, Sample};
use certus_engine::bounds::{Method, Options};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;
use certus_tests::outside;

#[test]
fn compare() {
    let adapters = Adapters::find();
    let device = adapters.open(0).unwrap();
    println!("{}", device.about);
    let images = outside::mnist("compare", 8).unwrap();
    for (net, scale) in [
        ("reference/mnist_3x1024.onnx", 1.0f32),
        ("vnncomp/mnist_fc/onnx/mnist-net_256x4.onnx", 1.0),
    ] {
        let path = outside::find("compare", net).unwrap();
        let network = outside::network(&path);
        let words = outside::words(&network);
        let model = certus_engine::model::Model::from_words(&words).unwrap();
        let mut runner = Runner::new(model, false);
        for (norm, eps) in [(Norm::Linf, 0.01)] {
            for method in [Method::Crown] {
                let options = Options::new(method);
                let crown = Crown::new(&device, &model, norm, options, |shape| {
                    Capacity::new(shape, model.inputs(), device.about.binding, 1 << 29, 64)
                })
                .unwrap();
                let samples: Vec<Sample> = images
                    .iter()
                    .map(|(x, _)| Sample {
                        region: Region::ball(x, eps * f64::from(scale), norm),
                        class: runner.predict(x).unwrap(),
                    })
                    .collect();
                let begun = std::time::Instant::now();
                let found = crown.margins(&samples).unwrap();
                let gpu = begun.elapsed();
                let mut out = Vec::new();
                let begun = std::time::Instant::now();
                let mut worst = 0.0f32;
                let mut least = f32::INFINITY;
                let mut most = f32::NEG_INFINITY;
                for (sample, found) in samples.iter().zip(&found) {
                    runner
                        .lower_bounds(
                            &sample.region,
                            &Spec::Margins { class: sample.class },
                            &options,
                            &mut out,
                        )
                        .unwrap();
                    let found = found.as_ref().unwrap();
                    let a = out.iter().copied().fold(f32::INFINITY, f32::min);
                    let b = found.iter().copied().fold(f32::INFINITY, f32::min);
                    worst = worst.max((a - b).abs() / a.abs());
                    least = least.min(a - b);
                    most = most.max(a - b);
                }
                println!(
                    "{net} {norm} {eps} {method:?}: worst {worst:e} cpu-gpu {least:e} .. {most:e}, gpu {gpu:?} cpu {:?}",
                    begun.elapsed()
                );
            }
        }
    }
}

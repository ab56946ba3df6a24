//! CROWN for batches of images.

use std::path::Path;
use std::time::Instant;

use certus::blob::{self, WeightKind};
use certus::cpu::Runner;
use certus::gpu::{Capacity, Crown, Device, Sample};
use certus::{dataset, import};
use certus_engine::bounds::{Method, Options, dense_macs};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::model::Model;
use certus_engine::region::{Norm, Region};
use serde_json::json;

use super::median;

/// Images of a batch.
const BATCHES: [usize; 5] = [1, 32, 256, 1024, 4096];

/// Most seconds for a batch size.
const PATIENCE: f64 = 2.0;

/// The lines of one net.
pub fn bench(
    device: &Device,
    net: &str,
    samples: &str,
    epsilon: f64,
    put: &mut impl FnMut(serde_json::Value),
) {
    let network = import::read(Path::new(net)).expect("net");
    let words = blob::pack(&network, WeightKind::F32).expect("blob");
    let model = Model::from_words(&words).expect("model");
    let set = dataset::read(Path::new(samples), None).expect("samples");
    let mut runner = Runner::new(model, true);
    // Fewer samples than a batch are taken again.
    let classes: Vec<usize> =
        (0..set.rows).map(|i| runner.predict(set.row(i)).expect("prediction")).collect();
    let options = Options::new(Method::Crown);
    let dense = dense_macs(&model, Method::Crown, model.outputs() - 1);
    let software = device.about.kind == "software";
    let name = Path::new(net).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for batch in BATCHES.into_iter().filter(|batch| !software || *batch <= 32) {
        let total = if software { 1 << 29 } else { 16 << 30 };
        let capacity =
            |shape: &_| Capacity::new(shape, model.inputs(), device.about.binding, total, batch);
        let crown = Crown::new(device, &model, Norm::Linf, options, capacity).expect("it fits");
        let samples: Vec<Sample<'_>> = (0..batch)
            .map(|i| i % set.rows)
            .map(|i| Sample {
                region: Region::ball(set.row(i), epsilon, Norm::Linf),
                class: classes[i],
            })
            .collect();
        let run = || crown.margins(&samples).expect("the device runs");
        device.begin_profile();
        let found = run();
        let profile = device.end_profile().unwrap_or_default();
        let macs = crown.take_macs() as f64 / batch as f64;
        let certified = found
            .iter()
            .filter(|found| found.as_ref().is_ok_and(|found| verdict(found) == Verdict::Certified));
        let certified = certified.count();
        let begun = Instant::now();
        let mut times = Vec::new();
        while !software && times.len() < 100 && begun.elapsed().as_secs_f64() < PATIENCE {
            let begun = Instant::now();
            run();
            times.push(begun.elapsed().as_secs_f64());
        }
        let stages: serde_json::Map<_, _> = profile
            .0
            .iter()
            .filter(|_| !software)
            .map(|(name, timing)| {
                ((*name).to_owned(), json!({"seconds": timing.seconds, "runs": timing.runs}))
            })
            .collect();
        let mut line = json!({
            "net": name, "epsilon": epsilon, "batch": batch, "certified": certified,
            "macs": macs, "dense_macs": dense, "stages": stages,
            "capacity": {"samples": crown.capacity().samples, "rows": crown.capacity().slots},
        });
        let mut rate = String::new();
        if !times.is_empty() {
            let (rounds, seconds) = (times.len(), median(times));
            line["seconds"] = json!(seconds);
            line["rounds"] = json!(rounds);
            rate = format!(", {:.1} images a second", batch as f64 / seconds);
        }
        println!(
            "{name} {epsilon} batch {batch}: {certified} certified, {:.1} M multiply-adds of {:.1} \
             dense{rate}",
            macs / 1e6,
            dense as f64 / 1e6
        );
        for (name, timing) in profile.0.iter().filter(|_| !software) {
            println!("    {name:16} {:9.3} ms in {} runs", 1e3 * timing.seconds, timing.runs);
        }
        put(line);
    }
}

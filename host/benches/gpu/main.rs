//! What a GPU does: the product alone, and CROWN for batches of images.
//!
//! `cargo bench -p certus --bench gpu -- OUT.jsonl [NET SAMPLES EPSILON ..]`
//!
//! Writes one JSON object a line to OUT, and a table to standard output: the adapter with what its
//! probes measured; for each tile and size the multiply-adds a second; for each net and batch the
//! images a second (median of the rounds, from regions to verdicts, memory and kernels made before),
//! multiply-adds done and dense, and seconds of each kernel from the device's own clock. On a software
//! driver times mean nothing and are left out: counted work only.

mod nets;
mod product;

use std::fs::File;
use std::io::Write;

use certus::gpu::{Adapters, qualify};
use certus_shaders::tile::ALL;
use serde_json::json;

/// Median of some numbers.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.is_empty() || !(args.len() - 1).is_multiple_of(3) {
        eprintln!("usage: cargo bench -p certus --bench gpu -- OUT.jsonl [NET SAMPLES EPSILON ..]");
        return;
    }
    let adapters = Adapters::find();
    if adapters.is_empty() {
        eprintln!("no GPU");
        return;
    }
    let device = adapters.open(0).expect("the adapter opens");
    let mut out = File::create(&args[0]).expect("the file can be written");
    let mut put = |line: serde_json::Value| {
        writeln!(out, "{line}").and_then(|()| out.flush()).expect("the file can be written");
    };
    let about = &device.about;
    let measured = qualify(&device);
    println!("{about}");
    put(json!({
        "adapter": about.name, "kind": about.kind, "backend": about.backend, "driver": about.driver,
        "qualifies": measured.is_ok(), "probes": format!("{measured:?}"),
    }));
    if about.kind != "software" {
        for n in [1024, 4096] {
            for tile in ALL {
                let rate = product::rate(&device, tile, n);
                println!("{n:6} {:16} {:8.2} T multiply-adds a second", tile.name, rate / 1e12);
                put(json!({"product": tile.name, "size": n, "macs_per_second": rate}));
            }
        }
    }
    for net in args[1..].chunks_exact(3) {
        nets::bench(&device, &net[0], &net[1], net[2].parse().expect("epsilon"), &mut put);
    }
}

//! GPUs: whichever the system offers first. `cargo xtask test` runs this on two software drivers.

mod agreement;
mod attack;
mod curved;
mod forward;
mod kernels;
mod oracle;
mod simplex;
mod slopes;
mod stages;

use certus::gpu::{Adapters, Device, qualify};
use certus_tests::outside;

/// The first adapter, open; where there is none, `None`, after a line in the log of skipped tests.
///
/// With `CERTUS_GPU=required` that is a failure; with `CERTUS_GPU=off` none is looked for.
fn device(test: &str) -> Option<Device> {
    let wish = std::env::var("CERTUS_GPU").unwrap_or_default();
    if wish == "off" {
        println!("{test}: left out, CERTUS_GPU=off");
        return None;
    }
    let adapters = Adapters::find();
    let opened = if adapters.is_empty() {
        Err("no GPU: no adapter that runs compute shaders".to_owned())
    } else {
        adapters.open(0).map_err(|fault| format!("no GPU: {fault}"))
    };
    match opened {
        Ok(device) => {
            println!("{test}: on {}", device.about);
            Some(device)
        }
        Err(why) => {
            assert!(wish != "required", "{why}, with CERTUS_GPU=required");
            outside::skip(test, &why);
            None
        }
    }
}

/// Whether the driver is a hundred times slower than others.
fn is_slow(device: &Device) -> bool {
    device.about.name.contains("SwiftShader")
}

#[test]
fn the_adapter_qualifies() {
    let Some(device) = device("the_adapter_qualifies") else { return };
    let measured = qualify(&device).unwrap_or_else(|refusal| panic!("{}: {refusal}", device.about));
    println!("{measured:?}");
    let name = &device.about.name;
    let flushes = [("llvmpipe", false), ("SwiftShader", true)];
    if let Some((_, flushes)) = flushes.iter().find(|(driver, _)| name.contains(driver)) {
        assert_eq!(measured.flushes, *flushes, "{name}: subnormal numbers");
        // Both round to nearest.
        for worst in [measured.add, measured.mul] {
            assert!(worst > 0.9 && worst <= 1.0, "{name}: {measured:?}");
        }
    }
}

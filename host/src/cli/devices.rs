//! `certus devices`: GPUs, and whether each qualifies.

use super::Outcome;
use crate::error::Result;
use crate::gpu::{Adapters, Cache};
use crate::report::Sink;

/// List the GPUs that can be reached, the one to be taken first, and whether each may decide verdicts
///
/// It measures each anew; runs with --backend gpu believe for a month what was measured last, as long as
/// device, driver and certus are the same.
///
/// WGPU_BACKEND (vulkan, metal, dx12), WGPU_ADAPTER_NAME (a part of the name) and WGPU_POWER_PREF
/// (low, high) choose among them.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_: &Args) -> Result<Outcome> {
    let (adapters, cache) = (Adapters::find(), Cache::of_user());
    let mut sink = Sink::stdout();
    if adapters.is_empty() {
        sink.write(|out| writeln!(out, "no GPU: no adapter that runs compute shaders"))?;
    }
    for (i, about) in adapters.about().enumerate() {
        // Opening and asking a device can fail in the driver only, which says why.
        let opened = adapters.open(i).map_err(Into::into);
        let verdict = match opened.and_then(|device| cache.renew(&about, &device)) {
            Ok(measured) => {
                let flushes = if measured.flushes { "flushes" } else { "keeps" };
                format!(
                    "qualifies: + and * off by {:.2} and {:.2} of 2^-24, {flushes} subnormals, sums at \
                     {:.0} % and {:.0} % of what is allowed",
                    measured.add,
                    measured.mul,
                    100.0 * measured.sum,
                    100.0 * measured.blocks.max(measured.fences)
                )
            }
            Err(refusal) => format!("refused: {refusal}"),
        };
        let half = if about.half { ", f16" } else { "" };
        sink.write(|out| {
            writeln!(out, "{i}  {about}")?;
            writeln!(
                out,
                "   bindings of {} MiB, workgroups of {}{half}",
                about.binding >> 20,
                about.workgroup
            )?;
            writeln!(out, "   {verdict}")
        })?;
    }
    sink.finish()?;
    Ok(Outcome::Proved)
}

//! The kernels' sources.

use std::borrow::Cow;

/// A kernel: a WGSL module whose entry point is `main`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name, of its file or its tile.
    pub name: &'static str,
    /// Its text.
    pub source: Cow<'static, str>,
    /// Invocations of a workgroup.
    pub workgroup: u32,
}

macro_rules! kernel {
    ($name:literal, $workgroup:literal $(, $shared:literal)*) => {
        Kernel {
            name: $name,
            source: Cow::Borrowed(concat!(
                $(include_str!(concat!("../wgsl/shared/", $shared, ".wgsl")),)*
                include_str!(concat!("../wgsl/", $name, ".wgsl"))
            )),
            workgroup: $workgroup,
        }
    };
}

/// Single operations on pairs of floats.
pub const PROBE_OPS: Kernel = kernel!("probe_ops", 64);
/// Sums of products, in one loop and in blocks.
pub const PROBE_SUMS: Kernel = kernel!("probe_sums", 64);

/// Ends and masses of a layer's neurons; 32 neurons and 32 samples a workgroup.
pub const INTERVAL: Kernel = kernel!("interval", 64, "round", "step", "neuron");
/// The same; a neuron and a sample a workgroup.
pub const INTERVAL_FEW: Kernel = kernel!("interval_few", 256, "round", "step", "neuron");
/// The neurons to walk back; a sample a workgroup.
pub const SELECT: Kernel = kernel!("select", 256, "round", "step", "scan");
/// Which row each slot holds.
pub const SLOTS: Kernel = kernel!("slots", 64, "round", "step");
/// Rows of neurons; a row a workgroup, as all of rows.
pub const START: Kernel = kernel!("start", 64, "round", "step");
/// Rows of margins.
pub const MARGINS: Kernel = kernel!("margins", 64, "round", "step");
/// Lines in place of activations.
pub const RELAX: Kernel = kernel!("relax", 64, "round", "step", "settle", "improve");
/// Lines in place of activations, in the first step of both rows of a neuron; a pair a workgroup.
pub const JOIN: Kernel = kernel!("join", 64, "round", "step", "settle");
/// Rows of neurons that are still open; a sample a workgroup.
pub const COMPACT: Kernel = kernel!("compact", 256, "round", "step", "scan");
/// Bounds of rows.
pub const REACH: Kernel = kernel!("reach", 64, "round", "step", "improve");
/// Lines of a layer; a sample a workgroup.
pub const LINES: Kernel = kernel!("lines", 256, "round", "step", "scan", "leaky");
/// Lines of a layer that the host has chosen; a sample a workgroup.
pub const PLACE: Kernel = kernel!("place", 256, "round", "step");

/// PGD: activations at its points; 32 neurons and 32 points a workgroup.
pub const CLIMB_PASS: Kernel = kernel!("climb_pass", 64, "climb");
/// Gradients there by what feeds a layer; 32 of its inputs and 32 points a workgroup.
pub const CLIMB_BACK: Kernel = kernel!("climb_back", 64, "climb");
/// Leads of other outputs; a point a workgroup, as all of rows.
pub const CLIMB_AIM: Kernel = kernel!("climb_aim", 64, "climb");
/// Steps up the gradients; a point a workgroup.
pub const CLIMB_STEP: Kernel = kernel!("climb_step", 256, "climb");
/// The best points; a sample a workgroup.
pub const CLIMB_BEST: Kernel = kernel!("climb_best", 64, "climb");

/// What feeds a layer in whole numbers; a sample a workgroup.
pub const FIXED: Kernel = kernel!("fixed", 256, "round", "step");
/// Centres of a layer's neurons in whole numbers; 32 neurons and 32 samples a workgroup.
pub const CENTRES: Kernel = kernel!("centres", 64, "round", "step", "digits");

/// Neurons at points, and how fast they move; a sample a workgroup.
pub const CHAIN: Kernel = kernel!("chain", 256, "round", "step", "scan");
/// What rows are charged for a step through a layer whose neurons keep their sides; a row a workgroup.
pub const CHARGE: Kernel = kernel!("charge", 64, "round", "step");
/// Lengths of rows over the inputs; a row a workgroup.
pub const LENGTH: Kernel = kernel!("length", 64, "round", "step");

/// What lines of any lower slope need; a sample a workgroup.
pub const ANCHORS: Kernel = kernel!("anchors", 64, "round", "step", "moved");
/// Slopes that a search begins with; a row a workgroup, as the next ones.
pub const SLOPES: Kernel = kernel!("slopes", 64, "round", "step", "moved");
/// Lines of each row's own lower slopes in place of activations.
pub const RELAX_OWN: Kernel = kernel!("relax_own", 64, "round", "step", "settle", "leaky", "moved");
/// Where rows are least over the region.
pub const LEAST: Kernel = kernel!("least", 64, "round", "step");
/// Steps of slopes.
pub const ASCEND: Kernel = kernel!("ascend", 64, "round", "step", "moved");
/// Points through a layer's weights; 16 rows of a sample and 64 neurons a workgroup.
pub const FORTH: Kernel = kernel!("forth", 64, "round", "step");

/// All of them.
pub fn all() -> Vec<Kernel> {
    let mut all = vec![
        PROBE_OPS,
        PROBE_SUMS,
        INTERVAL,
        INTERVAL_FEW,
        SELECT,
        SLOTS,
        START,
        MARGINS,
        RELAX,
        JOIN,
        COMPACT,
        REACH,
        LINES,
        PLACE,
        CLIMB_PASS,
        CLIMB_BACK,
        CLIMB_AIM,
        CLIMB_STEP,
        CLIMB_BEST,
        FIXED,
        CENTRES,
        CHAIN,
        CHARGE,
        LENGTH,
        ANCHORS,
        SLOPES,
        RELAX_OWN,
        LEAST,
        ASCEND,
        FORTH,
    ];
    all.extend(crate::tile::ALL.map(|tile| tile.kernel()));
    all
}

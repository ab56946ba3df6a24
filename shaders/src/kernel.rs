//! The kernels' sources.

/// A kernel: a WGSL module whose entry point is `main`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its file's name.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    /// Invocations of a workgroup.
    pub workgroup: u32,
}

macro_rules! kernel {
    ($name:literal, $workgroup:literal) => {
        Kernel {
            name: $name,
            source: include_str!(concat!("../wgsl/", $name, ".wgsl")),
            workgroup: $workgroup,
        }
    };
}

/// Single operations on pairs of floats.
pub const PROBE_OPS: Kernel = kernel!("probe_ops", 64);
/// Sums of products, in one loop and in blocks.
pub const PROBE_SUMS: Kernel = kernel!("probe_sums", 64);

/// All of them.
pub const ALL: [Kernel; 2] = [PROBE_OPS, PROBE_SUMS];

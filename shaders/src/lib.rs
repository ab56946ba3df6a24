//! The WGSL kernels of Certus, their parameter layouts and their twins in Rust.

//! `cargo xtask bench`: the benchmarks of the host.

use crate::context::Context;
use crate::process::run;

/// Runs it; `arguments` go to `cargo bench`.
pub fn command(context: &Context, arguments: &[String]) -> Result<bool, String> {
    let mut cargo = context.cargo(&["bench", "--package", "certus"]);
    run(cargo.args(arguments)).map(|()| true)
}

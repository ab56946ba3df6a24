//! Where we are: the checkout, its build folder, the toolchain, and whether this is CI.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What every command needs to know.
pub struct Context {
    /// The workspace's folder.
    pub root: PathBuf,
    /// The build folder.
    pub target: PathBuf,
    /// Whether `CI=true`.
    pub ci: bool,
}

impl Context {
    /// Looks around.
    pub fn find() -> Result<Self, String> {
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = here.ancestors().nth(2).ok_or("no workspace above tests/xtask")?.to_owned();
        // This program is TARGET/debug/xtask, whichever way TARGET was set.
        let program = env::current_exe().map_err(|e| format!("own path: {e}"))?;
        let target = program.ancestors().nth(2).ok_or("no build folder above xtask")?.to_owned();
        Ok(Self { root, target, ci: env::var("CI").is_ok_and(|v| v == "true") })
    }

    /// Files that are not in the repository (models, data sets), if they are here.
    pub fn shared_data(&self) -> Option<PathBuf> {
        Some(self.root.parent()?.join("shared/data")).filter(|data| data.is_dir())
    }

    /// `cargo`, the one that started this program, in the workspace's folder.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
    }

    /// Any program, in the workspace's folder.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// `path`, as it is named from the workspace's folder.
    pub fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

//! Vulkan drivers that compute in software: where they are, how to get them, and a test on one alone.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::{self, Package};
use crate::context::Context;
use crate::sources;

/// A driver.
pub struct Driver {
    /// Its name, which is also a row of the table of what is set up.
    pub name: &'static str,
    /// What the name of its adapter holds.
    adapter: &'static str,
    /// Its manifest, if it is here.
    manifest: fn(&Context) -> Option<PathBuf>,
}

/// What finds drivers, for any program.
pub const LOADER: &str = "Vulkan loader";
/// Mesa's driver: keeps subnormal numbers, reassociates sums.
pub const LAVAPIPE: &str = "lavapipe";
/// The driver in Chromium: flushes subnormal numbers, keeps the order of sums.
pub const SWIFTSHADER: &str = "swiftshader";

/// The drivers.
pub const DRIVERS: [Driver; 2] = [
    Driver { name: LAVAPIPE, adapter: "llvmpipe", manifest: lavapipe },
    Driver { name: SWIFTSHADER, adapter: "SwiftShader", manifest: swiftshader },
];

/// Where the loader may lie, but for the folder of the processor's kind.
const LIBRARIES: [&str; 3] = ["/usr/lib64", "/usr/lib", "/usr/local/lib"];
/// Where installed drivers have their manifests.
const MANIFESTS: &str = "/usr/share/vulkan/icd.d";
/// The manifest that names SwiftShader's library, which lies beside it, and that library.
const SWIFTSHADER_FILES: [&str; 2] = ["vk_swiftshader_icd.json", "libvk_swiftshader.so"];
/// The packages that may hold them.
const SWIFTSHADER_PACKAGES: [&str; 2] = ["chromium-common", "chromium"];

impl Driver {
    /// Lets `command` find the adapter of this driver and no other, and the GPU tests in it fail
    /// where they find none.
    pub fn alone(&self, context: &Context, command: &mut Command) -> Result<(), String> {
        let manifest = (self.manifest)(context).ok_or_else(|| format!("{}: gone", self.name))?;
        // Drivers complain if they have no folder for their sockets.
        let runtime = context.target.join("gpu-runtime");
        fs::create_dir_all(&runtime).map_err(|e| format!("{}: {e}", runtime.display()))?;
        println!("with VK_DRIVER_FILES={}", manifest.display());
        command
            .env("VK_DRIVER_FILES", &manifest)
            // Its older name.
            .env("VK_ICD_FILENAMES", &manifest)
            .env_remove("VK_ADD_DRIVER_FILES")
            .env("XDG_RUNTIME_DIR", runtime)
            .env("WGPU_BACKEND", "vulkan")
            .env("WGPU_ADAPTER_NAME", self.adapter)
            .env("CERTUS_GPU", "required");
        Ok(())
    }
}

/// Whether the loader is here.
pub fn loader() -> bool {
    let own = format!("/usr/lib/{}-linux-gnu", env::consts::ARCH);
    let mut folders = LIBRARIES.into_iter().chain([&*own]);
    folders.any(|folder| Path::new(folder).join("libvulkan.so.1").exists())
}

/// Installs the loader.
pub fn install_loader() -> Result<(), String> {
    supported()?;
    apt::install(&["libvulkan1"])
}

/// Lavapipe's manifest, if it is here.
pub fn lavapipe(_: &Context) -> Option<PathBuf> {
    // Others may be here too, for programs of 32 bits.
    let names = [format!("lvp_icd.{}.json", env::consts::ARCH), "lvp_icd.json".to_owned()];
    names.map(|name| Path::new(MANIFESTS).join(name)).into_iter().find(|path| path.is_file())
}

/// Installs lavapipe.
pub fn install_lavapipe() -> Result<(), String> {
    supported()?;
    apt::install(&["mesa-vulkan-drivers"])
}

/// SwiftShader's manifest, if it is here.
pub fn swiftshader(context: &Context) -> Option<PathBuf> {
    let files = SWIFTSHADER_FILES.map(|name| swiftshader_folder(context).join(name));
    let [manifest, library] = files;
    (manifest.is_file() && library.is_file()).then_some(manifest)
}

/// Takes SwiftShader out of a package, into the build folder. Installs nothing.
pub fn unpack_swiftshader(context: &Context) -> Result<(), String> {
    supported()?;
    if !apt::present() {
        return Err("not a Debian or Ubuntu system".into());
    }
    let folder = swiftshader_folder(context);
    let part = folder.with_extension("part");
    let kept = swiftshader_in_packages(&part).or_else(|reason| {
        // The lists may be older than the archive.
        apt::refresh().map_err(|more| format!("{reason}; {more}"))?;
        swiftshader_in_packages(&part)
    });
    let done = kept.and_then(|kept| {
        let _ = fs::remove_dir_all(&folder);
        fs::rename(kept, &folder).map_err(|e| format!("{}: {e}", folder.display()))
    });
    let _ = fs::remove_dir_all(&part);
    done
}

fn swiftshader_folder(context: &Context) -> PathBuf {
    context.target.join("swiftshader")
}

/// The folder below `part` with nothing but the files, from the first package that has them.
fn swiftshader_in_packages(part: &Path) -> Result<PathBuf, String> {
    let mut reasons = Vec::new();
    for name in SWIFTSHADER_PACKAGES {
        match swiftshader_in_package(name, part) {
            Ok(kept) => return Ok(kept),
            Err(reason) => reasons.push(format!("{name}: {reason}")),
        }
    }
    Err(reasons.join("; "))
}

fn swiftshader_in_package(name: &str, part: &Path) -> Result<PathBuf, String> {
    let version = apt::candidate(name).ok_or("no such package")?;
    let _ = fs::remove_dir_all(part);
    apt::unpack(&[Package { name: name.to_owned(), version }], part)?;
    keep(&SWIFTSHADER_FILES, part)
}

/// Moves the files of these names, wherever below `part` they are, into one folder there.
fn keep(names: &[&str], part: &Path) -> Result<PathBuf, String> {
    let all = sources::under(part)?;
    let kept = part.join("kept");
    fs::create_dir_all(&kept).map_err(|e| format!("{}: {e}", kept.display()))?;
    for name in names {
        let found = all.iter().find(|path| path.file_name().is_some_and(|n| n == *name));
        let found = found.ok_or_else(|| format!("no {name} in it"))?;
        fs::rename(found, kept.join(name)).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(kept)
}

/// Whether the drivers are packaged for this processor.
fn supported() -> Result<(), String> {
    match env::consts::ARCH {
        "x86_64" | "aarch64" => Ok(()),
        other => Err(format!("set up on x86-64 and aarch64, not on {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_package_are_kept_or_missed() {
        let part = env::temp_dir().join(format!("certus-keep-{}", std::process::id()));
        let deep = part.join("usr/lib/somewhere");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("a.json"), "a").unwrap();
        fs::write(deep.join("b.so"), "b").unwrap();
        let missed = keep(&["a.json", "c.so"], &part);
        fs::write(deep.join("a.json"), "a").unwrap();
        let kept = keep(&["a.json", "b.so"], &part);
        let read = kept.map(|kept| fs::read_to_string(kept.join("b.so")).unwrap());
        fs::remove_dir_all(&part).unwrap();
        assert_eq!(missed, Err("no c.so in it".to_owned()));
        assert_eq!(read, Ok("b".to_owned()));
    }

    #[test]
    fn a_driver_that_is_gone_is_no_driver() {
        let nowhere = PathBuf::from("nowhere");
        let context = Context { root: nowhere.clone(), target: nowhere, ci: false };
        let mut command = Command::new("true");
        let alone = DRIVERS[1].alone(&context, &mut command);
        assert_eq!(alone, Err("swiftshader: gone".to_owned()));
        assert_eq!(command.get_envs().count(), 0);
    }
}

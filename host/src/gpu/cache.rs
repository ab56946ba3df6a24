//! What the probes have measured, kept from run to run.
//!
//! The probes ask the same some thousand questions each time, and what they find follows from the device,
//! its driver, the compilers in between, and the probes. A finding is believed again only where all that is
//! known to change one of these is the same:
//!
//! * the adapter's name, kind, interface and limits, and its driver with its version. A driver that tells no
//!   version, which has a digit (as on Metal, where the system brings it), is measured each time;
//! * this crate's version, and the program's file by path, length and time of change: it holds wgpu, which
//!   compiles kernels, and the rules by which their results are judged;
//! * the text of all kernels, and the probes' questions;
//! * the system, and the environment variables by which drivers, layers and wgpu are told to work in
//!   another way.
//!
//! What this cannot see: a driver's settings in files, or a device that has gone bad. So a finding is
//! believed for a month at most, only that a device qualifies is kept at all, and `certus devices` always
//! measures anew; where it refuses a device, the finding is removed. Whoever can write the file could change
//! what the user runs as well, so it is as trusted as that.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::adapter::About;
use super::probes;
use super::qualify::{Asked, Measured, Refusal, qualify};

/// Seconds for which a finding is believed: 30 days.
const MONTH: u64 = 30 * 24 * 3600;

/// How names of variables begin that may change how kernels are compiled or run.
const SETTINGS: [&str; 20] = [
    "WGPU_", "VK_", "MESA_", "NIR_", "GALLIUM_", "LP_", "DRI_", "RADV_", "AMD_", "ACO_", "ANV_",
    "INTEL_", "NVK_", "NAK_", "ZINK_", "TU_", "MVK_", "__GL_", "__NV_", "DISABLE_",
];

/// All that a finding depends on, as far as it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    adapter: String,
    kind: String,
    interface: String,
    driver: String,
    binding: u64,
    workgroup: u32,
    half: bool,
    system: String,
    version: String,
    program: String,
    probes: String,
    settings: String,
}

/// A finding.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Finding {
    of: Key,
    measured: Measured,
    /// Seconds since 1970.
    at: u64,
}

/// The folder of findings, one file an adapter; none where the system has no place for it.
#[derive(Clone, Debug)]
pub struct Cache(Option<PathBuf>);

impl Cache {
    /// The user's: `certus` in `$XDG_CACHE_HOME` or `~/.cache`, on macOS in `~/Library/Caches`, on
    /// Windows in `%LOCALAPPDATA%`.
    pub fn of_user() -> Self {
        // A relative place is none, says the XDG Base Directory Specification.
        let place = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let usual = || match std::env::consts::OS {
            "windows" => place("LOCALAPPDATA"),
            "macos" => place("HOME").map(|home| home.join("Library/Caches")),
            _ => place("HOME").map(|home| home.join(".cache")),
        };
        Self(place("XDG_CACHE_HOME").or_else(usual).map(|cache| cache.join("certus")))
    }

    /// In this folder.
    pub fn within(folder: &Path) -> Self {
        Self(Some(folder.to_owned()))
    }

    /// What the probes found on a device, now or before.
    ///
    /// # Errors
    /// [`Refusal`], as from [`qualify`].
    pub fn qualify(&self, about: &About, device: &impl Asked) -> Result<Measured, Refusal> {
        match self.find(about, now()) {
            Some(measured) => Ok(measured),
            None => self.renew(about, device),
        }
    }

    /// What the probes find on a device now, which is kept.
    ///
    /// # Errors
    /// [`Refusal`], as from [`qualify`].
    pub fn renew(&self, about: &About, device: &impl Asked) -> Result<Measured, Refusal> {
        let found = qualify(device);
        match &found {
            Ok(measured) => self.keep(about, *measured, now()),
            Err(_) => self.forget(about),
        }
        found
    }

    /// The finding about a device, if there is one to be believed at time `now`.
    fn find(&self, about: &About, now: Option<u64>) -> Option<Measured> {
        let bytes = std::fs::read(self.file(about)?).ok()?;
        let finding: Finding = serde_json::from_slice(&bytes).ok()?;
        let age = now?.checked_sub(finding.at)?;
        (age <= MONTH && finding.of == Key::new(about)?).then_some(finding.measured)
    }

    /// Keeps a finding; where it cannot, the next run measures.
    fn keep(&self, about: &About, measured: Measured, now: Option<u64>) {
        let (Some(file), Some(of), Some(at)) = (self.file(about), Key::new(about), now) else {
            return;
        };
        let Ok(text) = serde_json::to_vec_pretty(&Finding { of, measured, at }) else { return };
        let Some(folder) = file.parent() else { return };
        // Whole or not at all, whoever else writes.
        let part = file.with_extension(format!("{}.part", std::process::id()));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&part, text))
            .and_then(|()| std::fs::rename(&part, &file));
        if written.is_err() {
            let _ = std::fs::remove_file(&part);
        }
    }

    fn forget(&self, about: &About) {
        if let Some(file) = self.file(about) {
            let _ = std::fs::remove_file(file);
        }
    }

    fn file(&self, about: &About) -> Option<PathBuf> {
        let id = hash([&about.name, about.kind, about.backend]);
        Some(self.0.as_ref()?.join(format!("gpu-{}.json", &id[..16])))
    }
}

impl Key {
    /// None where something that counts is not told.
    fn new(about: &About) -> Option<Self> {
        if !about.driver.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let settings = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.to_string_lossy().into_owned();
            let counts = SETTINGS.iter().any(|begin| name.starts_with(begin));
            counts.then(|| format!("{name}={}", value.to_string_lossy()))
        });
        let mut settings: Vec<String> = settings.collect();
        settings.sort_unstable();
        Some(Self {
            adapter: about.name.clone(),
            kind: about.kind.to_owned(),
            interface: about.backend.to_owned(),
            driver: about.driver.clone(),
            binding: about.binding,
            workgroup: about.workgroup,
            half: about.half,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            program: program()?,
            probes: questions(),
            settings: hash(settings),
        })
    }
}

/// The program's file: path, length, time of change.
fn program() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    let file = std::fs::metadata(&path).ok()?;
    let changed = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} {} {}", path.display(), file.len(), changed.as_nanos()))
}

/// A hash of the kernels' texts and of all that the probes ask.
fn questions() -> String {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let kernels = certus_shaders::kernel::all();
    all.extend(kernels.iter().map(|kernel| kernel.source.as_bytes().to_vec()));
    all.push(bytemuck::cast_slice(&probes::pairs()).to_vec());
    all.push(bytemuck::cast_slice(&probes::beyond()).to_vec());
    for rows in probes::rows() {
        all.push(bytemuck::bytes_of(&rows.what).to_vec());
        all.push(bytemuck::cast_slice(&rows.a).to_vec());
        all.push(bytemuck::cast_slice(&rows.b).to_vec());
    }
    hash(all)
}

fn hash(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length: no two lists give the same bytes.
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> Option<u64> {
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::device::Fault;
    use super::super::probes::Rows;
    use super::*;
    use certus_shaders::twin;

    /// A folder of its own for a test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let name = format!("certus-cache-{test}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn files(&self) -> Vec<PathBuf> {
            let entries = std::fs::read_dir(&self.0).into_iter().flatten();
            entries.map(|entry| entry.unwrap().path()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// The twin, which counts how often it is measured, and may be gone.
    #[derive(Default)]
    struct Twin {
        asked: Cell<usize>,
        gone: Cell<bool>,
    }

    impl Asked for Twin {
        fn ops(&self, pairs: &[[u32; 2]]) -> Result<Vec<u32>, Fault> {
            // The few of the other call are those that overflow.
            self.asked.set(self.asked.get() + usize::from(pairs.len() > 2));
            if self.gone.get() {
                return Err(Fault("device lost: removed".to_owned()));
            }
            Ok(pairs.iter().flat_map(|pair| twin::ops(*pair)).collect())
        }

        fn sums(&self, rows: &Rows) -> Result<Vec<[f32; 3]>, Fault> {
            Ok(twin::sums(&rows.what, &rows.a, &rows.b))
        }
    }

    fn about() -> About {
        About {
            name: "a GPU".to_owned(),
            kind: "discrete",
            backend: "vulkan",
            driver: "a driver 1.2.3".to_owned(),
            binding: 1 << 30,
            workgroup: 1024,
            half: false,
        }
    }

    #[test]
    fn a_finding_is_measured_once_and_for_its_device_alone() {
        let folder = Folder::new("once");
        let (cache, twin) = (Cache::within(&folder.0), Twin::default());
        let first = cache.qualify(&about(), &twin).unwrap();
        assert_eq!(first, qualify(&Twin::default()).unwrap());
        assert_eq!(cache.qualify(&about(), &twin).unwrap(), first);
        assert_eq!((twin.asked.get(), folder.files().len()), (1, 1));
        let others = [
            About { name: "another".to_owned(), ..about() },
            About { kind: "virtual", ..about() },
            About { backend: "dx12", ..about() },
            About { driver: "a driver 1.2.4".to_owned(), ..about() },
            About { binding: 1 << 29, ..about() },
            About { workgroup: 256, ..about() },
            About { half: true, ..about() },
        ];
        for (i, other) in others.iter().enumerate() {
            cache.qualify(other, &twin).unwrap();
            assert_eq!(twin.asked.get(), 2 + i, "{other:?}");
        }
        // Renewed, whatever is known.
        cache.renew(&others[6], &twin).unwrap();
        assert_eq!(twin.asked.get(), 9);
    }

    #[test]
    fn a_finding_that_is_damaged_or_of_another_program_is_none() {
        let folder = Folder::new("damaged");
        let cache = Cache::within(&folder.0);
        let measured = Measured { add: 1.0, ..Measured::default() };
        cache.keep(&about(), measured, Some(1000));
        let file = folder.files().pop().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let found = |text: &str| {
            std::fs::write(&file, text).unwrap();
            cache.find(&about(), Some(1000))
        };
        assert_eq!(found(&text), Some(measured));
        for end in 0..text.len() {
            assert_eq!(found(&text[..end]), None, "{end} bytes");
        }
        // Every field of the key counts.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields: Vec<String> = value["of"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields.len(), 12);
        for field in fields {
            let mut value = value.clone();
            let of = value["of"].as_object_mut().unwrap();
            let other = match &of[&field] {
                serde_json::Value::String(text) => format!("{text}x").into(),
                serde_json::Value::Number(n) => (n.as_u64().unwrap() + 1).into(),
                other => (!other.as_bool().unwrap()).into(),
            };
            of[&field] = other;
            assert_eq!(found(&value.to_string()), None, "{field}");
            value["of"].as_object_mut().unwrap().remove(&field);
            assert_eq!(found(&value.to_string()), None, "without {field}");
        }
        assert_eq!(found(&value.to_string()), Some(measured));
    }

    #[test]
    fn a_finding_grows_old() {
        let folder = Folder::new("old");
        let cache = Cache::within(&folder.0);
        cache.keep(&about(), Measured::default(), Some(MONTH));
        for (now, known) in [
            (Some(MONTH), true),
            (Some(2 * MONTH), true),
            (Some(2 * MONTH + 1), false),
            (Some(MONTH - 1), false),
            (None, false),
        ] {
            assert_eq!(cache.find(&about(), now).is_some(), known, "{now:?}");
        }
    }

    #[test]
    fn a_refusal_is_never_kept_and_ends_what_was() {
        let folder = Folder::new("refusal");
        let (cache, twin) = (Cache::within(&folder.0), Twin::default());
        twin.gone.set(true);
        assert!(cache.qualify(&about(), &twin).is_err());
        assert!(folder.files().is_empty());
        twin.gone.set(false);
        cache.qualify(&about(), &twin).unwrap();
        assert_eq!(folder.files().len(), 1);
        twin.gone.set(true);
        assert!(cache.renew(&about(), &twin).is_err());
        assert!(folder.files().is_empty());
    }

    #[test]
    fn what_cannot_be_kept_or_told_apart_is_measured_each_time() {
        let folder = Folder::new("none");
        std::fs::create_dir_all(&folder.0).unwrap();
        let file = folder.0.join("file");
        std::fs::write(&file, "").unwrap();
        let nowhere = [Cache(None), Cache::within(&file), Cache::within(&file.join("below"))];
        let nowhere = nowhere.into_iter().map(|cache| (cache, about()));
        let untold = ["", "a driver"].map(|driver| {
            let about = About { driver: driver.to_owned(), ..about() };
            (Cache::within(&folder.0), about)
        });
        for (cache, about) in nowhere.chain(untold) {
            let twin = Twin::default();
            for times in 1..=2 {
                cache.qualify(&about, &twin).unwrap();
                assert_eq!(twin.asked.get(), times);
            }
        }
        assert_eq!(folder.files(), [file]);
    }
}

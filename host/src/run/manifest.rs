//! What a run was, so that only the same run goes on where it stopped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::select::{Shard, select};
use crate::error::{Error, Result};
use crate::report::file;

/// A run: its inputs by their hashes, its options, its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version that ran.
    pub certus_version: String,
    /// The subcommand.
    pub command: String,
    /// SHA-256 of the model file, in hex.
    pub model_sha256: String,
    /// SHA-256 of the data file, in hex.
    pub data_sha256: String,
    /// SHA-256 of the labels file, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub labels_sha256: Option<String>,
    /// What else changes a result, by name: norm, epsilon, method, semantics, scaling.
    pub options: BTreeMap<String, String>,
    /// Part and number of parts, as in [`Shard`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shard: Option<(usize, usize)>,
    /// The first row of the whole run, all parts together.
    #[serde(default)]
    pub first: usize,
    /// The number of rows of the whole run, all parts together.
    pub instances: usize,
}

impl Manifest {
    /// Where the manifest of `out` is.
    pub fn path(out: &Path) -> PathBuf {
        file::beside(out, ".manifest.json")
    }

    /// Reads the manifest of `out`, if there is one.
    pub fn read(out: &Path) -> Result<Option<Self>> {
        let path = Self::path(out);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let manifest: Self = serde_json::from_slice(&text).map_err(|e| {
            let place = format!("line {}, column {}", e.line(), e.column());
            Error::input(&path, place, format!("{e}, expected the manifest of a run"))
        })?;
        if manifest.first.checked_add(manifest.instances).is_none() {
            return Err(Error::input(&path, "instances", "more than there can be"));
        }
        if manifest.shard.is_some_and(|(i, n)| !(1..=n).contains(&i)) {
            return Err(Error::input(&path, "shard", "expected [i, n] with 1 <= i <= n"));
        }
        Ok(Some(manifest))
    }

    /// Writes the manifest of `out`, whole or not at all.
    pub fn write(&self, out: &Path) -> Result<()> {
        file::replace(&Self::path(out), |to| {
            serde_json::to_writer_pretty(&mut *to, self)?;
            to.write_all(b"\n")
        })
    }

    /// The part, if the run is one.
    pub fn shard(&self) -> Option<Shard> {
        self.shard.map(|(i, n)| Shard { i, n })
    }

    /// The rows that this run, or this part of it, has.
    pub fn indices(&self) -> Vec<usize> {
        select(self.first..self.first + self.instances, self.shard())
    }

    /// Whether row `index` is one of [`indices`](Self::indices).
    pub fn has(&self, index: usize) -> bool {
        index.checked_sub(self.first).is_some_and(|at| at < self.instances)
            && self.shard().is_none_or(|s| s.has(index))
    }

    /// Compares this run (asked for) with `other` (found).
    ///
    /// # Errors
    /// The first field that differs, with both values.
    pub fn check(&self, other: &Self) -> Result<()> {
        let shard = |m: &Self| m.shard().map_or("none".to_owned(), |s| s.to_string());
        differ("shard", &shard(self), &shard(other))?;
        self.check_but_shard(other)
    }

    /// As [`check`](Self::check), for two parts of one run.
    pub fn check_but_shard(&self, other: &Self) -> Result<()> {
        let labels = |m: &Self| m.labels_sha256.clone().unwrap_or("none".to_owned());
        differ("certus_version", &self.certus_version, &other.certus_version)?;
        differ("command", &self.command, &other.command)?;
        differ("model_sha256", &self.model_sha256, &other.model_sha256)?;
        differ("data_sha256", &self.data_sha256, &other.data_sha256)?;
        differ("labels_sha256", &labels(self), &labels(other))?;
        for key in self.options.keys().chain(other.options.keys()) {
            let value = |m: &Self| m.options.get(key).cloned().unwrap_or("none".to_owned());
            differ(&format!("option {key}"), &value(self), &value(other))?;
        }
        let rows = |m: &Self| format!("{} from row {}", m.instances, m.first);
        differ("instances", &rows(self), &rows(other))
    }
}

fn differ(field: &str, ours: &str, theirs: &str) -> Result<()> {
    if ours == theirs {
        return Ok(());
    }
    Err(Error::Usage(format!("not the same run: {field} is {ours} here and {theirs} there")))
}

/// SHA-256 of a file's bytes, in hex.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block).map_err(|e| Error::io(path, e))? {
            0 => break,
            n => hash.update(&block[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `radius` over rows 0 to `instances`.
    pub(in crate::run) fn manifest(instances: usize) -> Manifest {
        Manifest {
            certus_version: "0.1.0".into(),
            command: "radius".into(),
            model_sha256: "aa".into(),
            data_sha256: "bb".into(),
            labels_sha256: None,
            options: [("norm".to_owned(), "linf".to_owned())].into(),
            shard: None,
            first: 0,
            instances,
        }
    }

    #[test]
    fn differences_are_named_with_both_values() {
        let ours = manifest(10);
        ours.check(&ours).unwrap();
        let told = |change: &dyn Fn(&mut Manifest)| {
            let mut other = ours.clone();
            change(&mut other);
            ours.check(&other).unwrap_err().to_string()
        };
        assert!(
            told(&|m| m.model_sha256 = "cc".into())
                .contains("model_sha256 is aa here and cc there")
        );
        assert!(told(&|m| m.shard = Some((1, 2))).contains("shard is none here and 1/2 there"));
        assert!(
            told(&|m| m.labels_sha256 = Some("dd".into())).contains("labels_sha256 is none here")
        );
        assert!(
            told(&|m| m.options = BTreeMap::new()).contains("option norm is linf here and none")
        );
        assert!(
            told(&|m| drop(m.options.insert("epsilon".into(), "0.1".into())))
                .contains("option epsilon is none here and 0.1 there")
        );
        assert!(told(&|m| m.first = 3).contains("10 from row 0 here and 10 from row 3 there"));
        assert!(told(&|m| m.certus_version = "9".into()).contains("certus_version"));
        let mut other = ours.clone();
        other.shard = Some((1, 2));
        ours.check_but_shard(&other).unwrap();
    }

    #[test]
    fn rows_of_a_part() {
        let m = Manifest { first: 3, shard: Some((2, 2)), ..manifest(4) };
        assert_eq!(m.indices(), [3, 5]);
        assert_eq!((0..10).filter(|&i| m.has(i)).collect::<Vec<_>>(), [3, 5]);
    }

    #[test]
    fn a_known_hash() {
        let path = std::env::temp_dir().join(format!("certus-sha-{}", std::process::id()));
        std::fs::write(&path, b"abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
        std::fs::remove_file(&path).unwrap();
    }
}

//! What a run over samples was: for its table and plot, and for the manifest that `--resume` compares.

use std::collections::BTreeMap;
use std::path::Path;

use super::samples::Setup;
use crate::error::Result;
use crate::report::Heading;
use crate::run::{Manifest, sha256};

impl Setup<'_> {
    /// The head of the run's table and plot.
    pub fn heading(&self, what: &str, epsilon: Option<f64>) -> Heading {
        let args = self.args;
        let file = |path: &Path| {
            path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
        };
        let clip = args.clip.as_ref();
        let clip = clip.map_or(String::new(), |c| format!(" cut to [{}, {}]", c[0], c[1]));
        Heading {
            model: file(&args.model),
            data: file(&args.data.data),
            what: what.to_owned(),
            norm: args.norm.to_string() + &clip,
            epsilon,
            method: self.plan.method.clone(),
            semantics: self.plan.semantics.to_owned(),
            backend: args.compute.backend_name().to_owned(),
        }
    }

    /// The run's manifest; `extra` are the subcommand's own options.
    ///
    /// # Errors
    /// A file that cannot be read again.
    pub fn manifest(&self, what: &str, extra: &[(&str, String)]) -> Result<Manifest> {
        let args = self.args;
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let mut options = BTreeMap::new();
        let mut put = |key: &str, value: String| options.insert(key.to_owned(), value);
        put("norm", args.norm.to_string());
        put("method", self.plan.method.clone());
        if args.compute.is_portable() {
            put("backend", args.compute.backend_name().to_owned());
        }
        if args.compute.is_gpu() {
            // Whichever it is, its bounds are not to the last bit those of the cores.
            put("backend", "gpu".to_owned());
        }
        put("scale", args.data.scale.to_string());
        if !args.data.mean.is_empty() || !args.data.std.is_empty() {
            put("mean", list(&args.data.mean));
            put("std", list(&args.data.std));
        }
        if let Some(ends) = &args.clip {
            put("clip", format!("{} {}", ends[0], ends[1]));
        }
        if args.data.unlabelled {
            put("unlabelled", "true".to_owned());
        }
        for (key, value) in self.plan.options.iter().chain(extra) {
            put(key, value.clone());
        }
        Ok(Manifest {
            certus_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: what.to_owned(),
            model_sha256: sha256(&args.model)?,
            data_sha256: sha256(&args.data.data)?,
            labels_sha256: args.data.labels.as_deref().map(sha256).transpose()?,
            options,
            shard: self.shard.map(|shard| (shard.i, shard.n)),
            first: self.first,
            instances: self.instances,
        })
    }
}

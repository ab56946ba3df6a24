//! A run over samples: the same frame for `certify` and `radius`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use certus_engine::bounds::Work;
use certus_engine::model::Model;
use rayon::prelude::*;

use super::Outcome;
use super::inputs::{DataArgs, read_blob};
use super::options::{FormatArg, MethodArgs, NormArg, SlopeArg, name};
use crate::cpu::Runner;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::question::{Answer, Question};
use crate::report::{Heading, Plot, Record, Sink, Verdict, csv, jsonl, table};
use crate::run::{Batch, Format, Manifest, Progress, Range, Shard, select, sha256};

/// Rows of a table that are listed one by one.
const TABLE_ROWS: usize = 20;

/// What is common to runs over samples.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// .onnx, .nnet, .npz or .certus
    pub model: PathBuf,
    #[command(flatten)]
    pub data: DataArgs,
    /// Norm of the ball around each sample
    #[arg(long, value_enum, default_value = "linf")]
    pub norm: NormArg,
    /// Only inputs with every coordinate in [LO, HI] count
    #[arg(long, num_args = 2, value_names = ["LO", "HI"], allow_hyphen_values = true)]
    pub clip: Option<Vec<f32>>,
    #[command(flatten)]
    pub method: MethodArgs,
    /// Part i of n of the rows, for several machines; see certus merge
    #[arg(long, value_name = "i/n")]
    pub shard: Option<String>,
    /// How results are written
    #[arg(long, value_enum, default_value = "table")]
    pub format: FormatArg,
    /// Write results here instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Go on with the run that wrote --out
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Draw certified accuracy against radius
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Count the work done
    #[arg(long)]
    pub verbose: bool,
}

/// Everything read and checked, before the first sample.
pub struct Setup<'a> {
    args: &'a RunArgs,
    words: Vec<u32>,
    set: Dataset,
    /// The question put to each sample.
    pub question: Question,
    indices: Vec<usize>,
    first: usize,
    instances: usize,
    shard: Option<Shard>,
}

impl<'a> Setup<'a> {
    /// Reads the model and the data.
    ///
    /// # Errors
    /// Bad input, before anything is written.
    pub fn new(args: &'a RunArgs) -> Result<Self> {
        let words = read_blob(&args.model, |network| args.data.normalise(network))?;
        let model = checked(&words);
        if model.outputs() < 2 {
            let message = "1 output, expected a classifier with at least 2 (see certus bounds)";
            return Err(Error::input(&args.model, "output", message));
        }
        let set = args.data.read(model.inputs(), model.outputs())?;
        let rows = args.data.range.parse::<Range>()?.of(set.rows)?;
        let shard = args.shard.as_deref().map(str::parse).transpose()?;
        let clip = args.clip.as_ref().map(|ends| (ends[0], ends[1]));
        if let Some((lo, hi)) = clip {
            check_clip(&set, rows.clone(), &args.data.data, lo, hi)?;
        }
        let question = Question {
            norm: args.norm.norm(),
            clip,
            stages: args.method.stages(),
            semantics: args.method.semantics_name(),
        };
        let (first, instances) = (rows.start, rows.len());
        let indices = select(rows, shard);
        Ok(Self { args, words, set, question, indices, first, instances, shard })
    }

    /// Answers every sample on all cores and reports.
    ///
    /// `what` is the subcommand, `epsilon` its radius if it has one, `options` what else changes a
    /// result. `answer` answers one.
    ///
    /// # Errors
    /// What cannot be written; finished samples are in `--out` by then.
    pub fn run(
        &self,
        what: &str,
        epsilon: Option<f64>,
        options: &[(&str, String)],
        answer: impl Fn(&Question, &mut Runner<'_>, usize, &[f32], Option<usize>) -> Answer + Sync,
    ) -> Result<Outcome> {
        let args = self.args;
        let begun = Instant::now();
        let format = match args.format {
            FormatArg::Table => Format::Table,
            FormatArg::Jsonl => Format::Jsonl,
            FormatArg::Csv => Format::Csv,
        };
        let batch = match &args.out {
            Some(out) => {
                let manifest = self.manifest(what, options)?;
                Some(Batch::begin(out, format, &manifest, args.resume)?)
            }
            None => None,
        };
        let todo = batch.as_ref().map_or(&self.indices[..], |batch| batch.todo()).to_vec();
        let resumed = batch.as_ref().map_or(0, Batch::resumed);
        let progress = Progress::new(resumed + todo.len(), resumed);
        // Lines go out as they are finished; only a table waits for all.
        let stream = (args.out.is_none() && format == Format::Jsonl).then(Sink::stdout);
        let stream = Mutex::new(stream);
        let records = Mutex::new(Vec::new());
        let work = Mutex::new(Work::default());
        let refused = Mutex::new(None);
        let stop = AtomicBool::new(false);
        let pool = args.method.pool()?;
        let parallel = todo.len() < pool.current_num_threads();
        let model = checked(&self.words);
        let done: Result<()> = pool.install(|| {
            todo.par_iter().with_max_len(1).try_for_each_init(
                || Runner::new(model, parallel),
                |runner, &index| {
                    if stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    let (x, label) = (self.set.row(index), self.set.label(index));
                    let answer = answer(&self.question, runner, index, x, label);
                    *lock(&work) += answer.work;
                    if let Some(error) = answer.refused {
                        lock(&refused).get_or_insert((index, error));
                    }
                    if let Some(batch) = &batch {
                        batch.append(&answer.record)?;
                    } else {
                        if let Some(sink) = lock(&stream).as_mut() {
                            sink.write(|out| jsonl::write(&answer.record, out))?;
                            stop.fetch_or(sink.closed(), Ordering::Relaxed);
                        }
                        lock(&records).push(answer.record);
                    }
                    progress.tick();
                    Ok(())
                },
            )
        });
        progress.finish();
        let heading = self.heading(what, epsilon);
        done?;
        let records = if let Some(batch) = batch {
            batch.finish(|records, out| write(format, records, &heading, out))?
        } else {
            let mut records = records.into_inner().unwrap_or_default();
            records.sort_by_key(|record| record.index);
            match lock(&stream).take() {
                Some(sink) => sink.finish()?,
                None => {
                    let mut sink = Sink::stdout();
                    sink.write(|out| write(format, &records, &heading, out))?;
                    sink.finish()?;
                }
            }
            records
        };
        if let Some(path) = &args.plot {
            Plot::of(&records, &heading).write(path)?;
        }
        if let Some((index, error)) = lock(&refused).take() {
            eprintln!("certus: row {index}: {error}");
        }
        if args.verbose {
            let work = *lock(&work);
            super::inspect::print_work(&work, todo.len(), begun.elapsed().as_secs_f64());
        }
        Ok(outcome(&records))
    }

    fn heading(&self, what: &str, epsilon: Option<f64>) -> Heading {
        let args = self.args;
        let file = |path: &Path| {
            path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned())
        };
        Heading {
            model: file(&args.model),
            data: file(&args.data.data),
            what: what.to_owned(),
            norm: name(args.norm),
            epsilon,
            method: name(args.method.method),
            semantics: args.method.semantics_name().to_owned(),
            backend: "cpu".to_owned(),
        }
    }

    fn manifest(&self, what: &str, extra: &[(&str, String)]) -> Result<Manifest> {
        let args = self.args;
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let mut options = BTreeMap::new();
        let mut put = |key: &str, value: String| options.insert(key.to_owned(), value);
        put("norm", name(args.norm));
        put("method", name(args.method.method));
        put("semantics", args.method.semantics_name().to_owned());
        put("scale", args.data.scale.to_string());
        if args.method.lower_slope != SlopeArg::Adaptive {
            put("lower-slope", name(args.method.lower_slope));
        }
        if !args.data.mean.is_empty() || !args.data.std.is_empty() {
            put("mean", list(&args.data.mean));
            put("std", list(&args.data.std));
        }
        if let Some((lo, hi)) = self.question.clip {
            put("clip", format!("{lo} {hi}"));
        }
        if args.data.unlabelled {
            put("unlabelled", "true".to_owned());
        }
        for (key, value) in extra {
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

/// The model of words that were checked when they were read.
fn checked(words: &[u32]) -> Model<'_> {
    Model::from_words(words).expect("read_blob gives checked words")
}

/// The value of a lock whose holders do not panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Every sample must lie in the box, or the question is another than the data asks.
fn check_clip(
    set: &Dataset,
    rows: std::ops::Range<usize>,
    file: &Path,
    lo: f32,
    hi: f32,
) -> Result<()> {
    if !(lo.is_finite() && hi.is_finite() && lo < hi) {
        return Err(Error::Usage(format!("--clip {lo} {hi}, expected LO below HI")));
    }
    for row in rows {
        if let Some(column) = set.row(row).iter().position(|x| !(lo..=hi).contains(x)) {
            let message = format!("{}, outside --clip {lo} {hi}", set.row(row)[column]);
            return Err(Error::input(file, format!("row {row}, column {column}"), message));
        }
    }
    Ok(())
}

fn write(
    format: Format,
    records: &[Record],
    heading: &Heading,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    match format {
        Format::Table => table::write(records, heading, TABLE_ROWS, out),
        Format::Csv => csv::write(records, out),
        Format::Jsonl => records.iter().try_for_each(|record| jsonl::write(record, out)),
    }
}

/// Falsified and misclassified count the same: the property is false at a concrete input.
pub fn outcome(records: &[Record]) -> Outcome {
    let any = |verdict| records.iter().any(|record| record.verdict == verdict);
    if any(Verdict::Falsified) || any(Verdict::Misclassified) {
        Outcome::Falsified
    } else if any(Verdict::Unknown) {
        Outcome::Unknown
    } else {
        Outcome::Proved
    }
}

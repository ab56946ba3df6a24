//! Results on standard output while a run is under way, in the order of the rows.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::report::{Record, Sink, csv, jsonl};
use crate::run::Format;

/// Takes results in any order and writes each as soon as all before it are there, so that what is
/// written does not depend on the number of threads. A table is written at the end.
pub struct Stream {
    sink: Option<Sink>,
    format: Format,
    order: Vec<usize>,
    written: usize,
    records: BTreeMap<usize, Record>,
}

impl Stream {
    /// For the rows `order`; writes nothing itself if not `live`.
    ///
    /// # Errors
    /// Standard output's.
    pub fn begin(format: Format, order: &[usize], live: bool) -> Result<Self> {
        let live = live && format != Format::Table;
        let mut sink = live.then(Sink::stdout);
        if let (Some(sink), Format::Csv) = (&mut sink, format) {
            sink.write(csv::header)?;
        }
        Ok(Self { sink, format, order: order.to_vec(), written: 0, records: BTreeMap::new() })
    }

    /// Whether results are written while the run is under way.
    pub fn is_live(&self) -> bool {
        self.sink.is_some()
    }

    /// Takes one result.
    ///
    /// # Errors
    /// Standard output's.
    pub fn put(&mut self, record: Record) -> Result<()> {
        self.records.insert(record.index, record);
        let Some(sink) = &mut self.sink else { return Ok(()) };
        while let Some(next) = self.order.get(self.written).and_then(|i| self.records.get(i)) {
            sink.write(|out| match self.format {
                Format::Csv => csv::rows(std::slice::from_ref(next), out),
                _ => jsonl::write(next, out),
            })?;
            self.written += 1;
        }
        Ok(())
    }

    /// Whether the reader of standard output has gone away.
    pub fn closed(&self) -> bool {
        self.sink.as_ref().is_some_and(Sink::closed)
    }

    /// Ends the run and hands back what was taken, by index.
    ///
    /// # Errors
    /// Standard output's.
    pub fn finish(self) -> Result<Vec<Record>> {
        if let Some(sink) = self.sink {
            sink.finish()?;
        }
        Ok(self.records.into_values().collect())
    }
}

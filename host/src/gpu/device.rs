//! An open device, its memory, and kernels run on it in order.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certus_shaders::kernel::Kernel;

use super::adapter::About;
use super::trouble::Troubles;

/// What a device or its driver said when something failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// What a kernel is given, in the order of its bindings.
#[derive(Clone, Copy, Debug)]
pub enum Argument<'a> {
    /// Parameters.
    Uniform(&'a [u8]),
    /// What it reads.
    Input(&'a [u8]),
    /// So many words that it writes.
    Output(usize),
}

/// Most time that one submission may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What memory of kernels is used for.
const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Memory on a device.
#[derive(Clone, Debug)]
pub struct Buffer(wgpu::Buffer);

/// An open device.
#[derive(Debug)]
pub struct Device {
    /// What it is.
    pub about: About,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Mutex<HashMap<&'static str, wgpu::ComputePipeline>>,
    /// Whether kernels can be timed, and the nanoseconds of a tick.
    ticks: Option<f32>,
    profile: Mutex<Option<Profile>>,
    told: Arc<Mutex<Told>>,
    submissions: AtomicUsize,
    troubles: Troubles,
}

/// Errors that come by the side.
#[derive(Debug, Default)]
struct Told {
    /// The first that nobody has asked for yet.
    first: Option<Fault>,
    /// The loss of the device, for good.
    lost: Option<Fault>,
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Opens an adapter with all that it offers to kernels.
    pub(super) fn open(adapter: &wgpu::Adapter, about: About) -> Result<Self, Fault> {
        let timed = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("certus"),
            required_features: timed,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Fault(error.to_string()))?;
        let told = Arc::new(Mutex::new(Told::default()));
        let to = Arc::clone(&told);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&to).first.get_or_insert(Fault(error.to_string()));
        }));
        let to = Arc::clone(&told);
        device.set_device_lost_callback(move |_, what| {
            let what = what.trim_end_matches('.');
            lock(&to).lost.get_or_insert(Fault(format!("device lost: {what}")));
        });
        let ticks = (!timed.is_empty()).then(|| queue.get_timestamp_period());
        let (pipelines, profile, submissions, troubles) = Default::default();
        Ok(Self { about, device, queue, pipelines, ticks, profile, told, submissions, troubles })
    }

    /// Ends the device, as when it is unplugged: what runs may end, whatever is asked later is a fault.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Whether the device is lost: nothing will come from it any more.
    pub fn is_lost(&self) -> bool {
        lock(&self.told).lost.is_some()
    }

    /// Tapes that were submitted.
    pub fn submissions(&self) -> usize {
        self.submissions.load(Ordering::Relaxed)
    }

    /// Plants troubles, for tests of what answers them; submissions count from 0 again.
    pub fn plant(self, troubles: Troubles) -> Self {
        Self { troubles, submissions: AtomicUsize::new(0), ..self }
    }

    /// Whether it can time kernels.
    pub fn has_clock(&self) -> bool {
        self.ticks.is_some()
    }

    /// Times every kernel from here on, where the device can.
    pub fn begin_profile(&self) {
        *self.profile.lock().unwrap_or_else(PoisonError::into_inner) = Some(Profile::default());
    }

    /// What has been timed; none if nothing was.
    pub fn end_profile(&self) -> Option<Profile> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether kernels are being timed.
    pub fn is_profiled(&self) -> bool {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Runs a kernel on `groups` workgroups and gives what it wrote, an entry for each
    /// [`Argument::Output`].
    ///
    /// # Errors
    /// [`Fault`], with what the driver said; nothing that was written is given then.
    pub fn run(
        &self,
        kernel: &Kernel,
        arguments: &[Argument<'_>],
        groups: u32,
    ) -> Result<Vec<Vec<u32>>, Fault> {
        let buffers: Vec<Buffer> = arguments
            .iter()
            .map(|argument| match argument {
                Argument::Uniform(bytes) => self.filled(bytes, wgpu::BufferUsages::UNIFORM),
                Argument::Input(bytes) => self.upload(bytes),
                Argument::Output(words) => self.empty(*words),
            })
            .collect();
        let bound: Vec<&Buffer> = buffers.iter().collect();
        let mut tape = self.tape();
        tape.dispatch(kernel, &bound, [groups, 1, 1])?;
        for (argument, buffer) in arguments.iter().zip(&buffers) {
            if let Argument::Output(words) = argument {
                tape.read(buffer, *words);
            }
        }
        tape.submit()
    }

    /// Memory of kernels, filled.
    pub fn upload(&self, bytes: &[u8]) -> Buffer {
        self.filled(bytes, STORAGE)
    }

    /// Parameters of kernels.
    pub fn uniform(&self, bytes: &[u8]) -> Buffer {
        self.filled(bytes, wgpu::BufferUsages::UNIFORM)
    }

    /// Memory of kernels for so many words, 0 at first.
    pub fn empty(&self, words: usize) -> Buffer {
        Buffer(self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * words.max(1) as u64,
            usage: STORAGE,
            mapped_at_creation: false,
        }))
    }

    /// Replaces what a buffer holds from word `at` on, before anything that is submitted later.
    pub fn write(&self, buffer: &Buffer, at: usize, bytes: &[u8]) {
        self.queue.write_buffer(&buffer.0, 4 * at as u64, bytes);
    }

    fn filled(&self, contents: &[u8], usage: wgpu::BufferUsages) -> Buffer {
        let size = contents.len().next_multiple_of(4).max(4) as u64;
        let (label, mapped_at_creation) = (None, true);
        let descriptor = wgpu::BufferDescriptor { label, size, usage, mapped_at_creation };
        let buffer = self.device.create_buffer(&descriptor);
        // Without memory, or without a device, there is none to be filled.
        match buffer.get_mapped_range_mut(..) {
            Ok(mut range) => range.slice(..contents.len()).copy_from_slice(contents),
            Err(error) => {
                lock(&self.told).first.get_or_insert(Fault(error.to_string()));
            }
        }
        buffer.unmap();
        Buffer(buffer)
    }

    /// A new tape.
    pub fn tape(&self) -> Tape<'_> {
        let encoder = self.device.create_command_encoder(&Default::default());
        let clock = self.ticks.filter(|_| self.is_profiled()).map(|_| {
            self.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: wgpu::QUERY_SET_MAX_QUERIES,
            })
        });
        Tape { device: self, encoder, back: Vec::new(), clock, timed: Vec::new() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<&'static str, wgpu::ComputePipeline>> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pipeline of a kernel, compiled when it is first asked for.
    fn pipeline(&self, kernel: &Kernel) -> wgpu::ComputePipeline {
        let compile = || {
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.name),
                source: wgpu::ShaderSource::Wgsl(kernel.source.clone()),
            });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        };
        self.known().entry(kernel.name).or_insert_with(compile).clone()
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<u32>, Fault> {
        let (send, receive) = std::sync::mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |done| {
            // Nobody listens any more where the wait has failed.
            let _ = send.send(done);
        });
        self.wait()?;
        match receive.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Fault(error.to_string())),
            Err(_) => return Err(Fault("nothing came back".to_owned())),
        }
        let view = buffer.get_mapped_range(..).map_err(|error| Fault(error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    /// Waits for all that was submitted.
    fn wait(&self) -> Result<(), Fault> {
        let waited = self.poll();
        self.check()?;
        waited
    }

    /// Waits, and has wgpu call those who want to know of what happened.
    fn poll(&self) -> Result<(), Fault> {
        let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) };
        // wgpu panics where a device is lost while it waits.
        match catch_unwind(AssertUnwindSafe(|| self.device.poll(wait))) {
            Ok(waited) => waited.map(|_| ()).map_err(|error| Fault(error.to_string())),
            Err(_) => {
                let fault = Fault("device lost: waiting for it failed".to_owned());
                Err(lock(&self.told).lost.get_or_insert(fault).clone())
            }
        }
    }

    /// What came by the side: a loss each time, any other error once.
    fn check(&self) -> Result<(), Fault> {
        if lock(&self.told).first.is_some() {
            // Of a loss wgpu tells in a wait only, of the errors that follow from it at once.
            let _ = self.poll();
        }
        let mut told = lock(&self.told);
        match told.lost.clone().or_else(|| told.first.take()) {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }
}

/// Kernels in the order in which they shall run.
#[derive(Debug)]
pub struct Tape<'d> {
    device: &'d Device,
    encoder: wgpu::CommandEncoder,
    back: Vec<wgpu::Buffer>,
    clock: Option<wgpu::QuerySet>,
    timed: Vec<&'static str>,
}

/// Time that kernels took, by name.
#[derive(Clone, Debug, Default)]
pub struct Profile(pub BTreeMap<&'static str, Timing>);

/// Time that a kernel took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Seconds.
    pub seconds: f64,
    /// How often it ran.
    pub runs: usize,
}

impl Tape<'_> {
    /// Runs a kernel on workgroups, with these buffers in the order of its bindings.
    ///
    /// # Errors
    /// [`Fault`], where the driver does not take the kernel.
    pub fn dispatch(
        &mut self,
        kernel: &Kernel,
        buffers: &[&Buffer],
        groups: [u32; 3],
    ) -> Result<(), Fault> {
        let Device { device, .. } = self.device;
        let pipeline = self.device.pipeline(kernel);
        if let Err(fault) = self.device.check() {
            // It may be broken; who tries again compiles again.
            self.device.known().remove(kernel.name);
            return Err(fault);
        }
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.0.as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let at = 2 * self.timed.len() as u32;
        let clock = self.clock.as_ref().filter(|_| at + 1 < wgpu::QUERY_SET_MAX_QUERIES);
        let stamps = clock.map(|query_set| wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(at),
            end_of_pass_write_index: Some(at + 1),
        });
        if stamps.is_some() {
            self.timed.push(kernel.name);
        }
        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: stamps };
        let mut pass = self.encoder.begin_compute_pass(&descriptor);
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        let [x, y, z] = groups;
        pass.dispatch_workgroups(x, y, z);
        Ok(())
    }

    /// Reads the first words of a buffer when all before has run.
    pub fn read(&mut self, buffer: &Buffer, words: usize) {
        self.read_from(buffer, 0, words);
    }

    /// Reads so many words of a buffer from word `at` on when all before has run.
    pub fn read_from(&mut self, buffer: &Buffer, at: usize, words: usize) {
        let size = 4 * words as u64;
        let copy = self.device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.encoder.copy_buffer_to_buffer(&buffer.0, 4 * at as u64, &copy, 0, size);
        self.back.push(copy);
    }

    /// Runs all of it, waits, and gives what was to be read, in that order.
    ///
    /// # Errors
    /// [`Fault`], with what the driver said.
    pub fn submit(mut self) -> Result<Vec<Vec<u32>>, Fault> {
        let number = self.device.submissions.fetch_add(1, Ordering::Relaxed);
        self.device.troubles.at(number, self.device)?;
        let count = 2 * self.timed.len();
        if let Some(clock) = self.clock.take().filter(|_| count > 0) {
            let ticks = self.device.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 8 * count as u64,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            self.encoder.resolve_query_set(&clock, 0..count as u32, &ticks, 0);
            self.read(&Buffer(ticks), 2 * count);
        }
        let Self { device, encoder, back, timed, .. } = self;
        device.queue.submit([encoder.finish()]);
        if back.is_empty() {
            device.wait()?;
        }
        let mut back: Vec<Vec<u32>> =
            back.iter().map(|buffer| device.read(buffer)).collect::<Result<_, _>>()?;
        if !timed.is_empty()
            && let (Some(ticks), Some(period)) = (back.pop(), device.ticks)
            && let Some(profile) =
                &mut *device.profile.lock().unwrap_or_else(PoisonError::into_inner)
        {
            let stamp = |of: &[u32]| u64::from(of[0]) | u64::from(of[1]) << 32;
            for (name, of) in timed.iter().zip(ticks.chunks_exact(4)) {
                let taken = stamp(&of[2..]).saturating_sub(stamp(of)) as f64;
                let timing = profile.0.entry(name).or_default();
                timing.seconds += 1e-9 * f64::from(period) * taken;
                timing.runs += 1;
            }
        }
        Ok(back)
    }
}

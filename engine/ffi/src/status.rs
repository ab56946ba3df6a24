//! What went wrong, as a number.

use certus_engine::bounds::Error;
use certus_engine::model::{BlobError, Field};
use certus_engine::monitor::{Misfit, Part, SetupError};
use certus_engine::region::RegionError;
use certus_engine::regions::RegionsError;

/// What became of a call. Numbers are never given another meaning; new ones may come.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,

    /// A pointer is NULL.
    Null = 1,
    /// A pointer is not on the boundary that its type asks for.
    Misaligned = 2,
    /// A length does not fit the address space.
    Length = 3,
    /// The working memory or an array for results is too short.
    Short = 4,
    /// Memory that is written overlaps other memory of the call, or the model's.
    Overlap = 5,
    /// The handle was not opened, or not where it lies.
    Handle = 6,
    /// A number names no method, no semantics, no shape, no kind of specification, or no rule.
    Kind = 7,
    /// The exponent of a norm is below 1 or NaN.
    Norm = 8,

    /// Blob: not whole words on a 4-byte boundary.
    BlobMisaligned = 20,
    /// Blob: shorter than its header or its layers say.
    BlobTruncated = 21,
    /// Blob: does not begin with `CRTS`.
    BlobMagic = 22,
    /// Blob: another version of the format.
    BlobVersion = 23,
    /// Blob: the length field is not the blob's length.
    BlobLength = 24,
    /// Blob: the checksum does not match, it is damaged.
    BlobCrc = 25,
    /// Blob: no layer, or too many.
    BlobLayerCount = 26,
    /// Blob: input width is 0, too large, or not the first layer's columns.
    BlobInputs = 27,
    /// Blob: output width is not the last layer's rows.
    BlobOutputs = 28,
    /// Blob: a reserved word of the header is not 0.
    BlobReserved = 29,
    /// Blob: a layer's rows are 0 or too many.
    BlobRows = 30,
    /// Blob: a layer's columns are not the rows of the layer before.
    BlobColumns = 31,
    /// Blob: an unknown activation, or a parameter that it cannot have.
    BlobActivation = 32,
    /// Blob: more rows that pass by an activation than there are.
    BlobThrough = 33,
    /// Blob: a reserved word of a layer is not 0.
    BlobLayerReserved = 34,
    /// Blob: an unknown kind of weights.
    BlobWeightKind = 35,
    /// Blob: weights do not lie where they should.
    BlobWeightOffset = 36,
    /// Blob: biases do not lie where they should.
    BlobBiasOffset = 37,
    /// Blob: a relative weight error that is not in [0, 1].
    BlobWeightError = 38,
    /// Blob: a bias error that is negative or not finite.
    BlobBiasError = 39,
    /// Blob: a weight that is NaN or infinite.
    BlobWeight = 40,
    /// Blob: a bias that is NaN or infinite.
    BlobBias = 41,
    /// Blob: the table of certified regions behind the model is of another version.
    BlobRegionsVersion = 42,
    /// Blob: the table's checksum does not match, it is damaged.
    BlobRegionsCrc = 43,
    /// Blob: the table was made for another model.
    BlobRegionsModel = 44,
    /// Blob: the table is not laid out as it should be.
    BlobRegions = 45,

    /// Inputs, or a region's arrays, of another width than the model's inputs.
    RegionWidth = 60,
    /// An entry that is NaN, infinite or of magnitude 2^100 or more.
    RegionEntry = 61,
    /// A radius that is NaN, negative, or 2^100 or more.
    RegionRadius = 62,
    /// No point: a lower end above the upper one, or the ball outside the box.
    RegionEmpty = 63,
    /// The specification does not fit the model's outputs, or is not finite.
    Spec = 64,
    /// The method does not know one of the model's activations.
    Activation = 65,
    /// A pre-activation could reach 2^100: f32 bounds would overflow.
    Magnitude = 66,

    /// Setup: `inputs` or `outputs` is not the model's.
    SetupWidth = 80,
    /// Setup: an entry of the range that it cannot have, or its ends in the wrong order.
    SetupRange = 81,
    /// Setup: a sensor error that is negative, not finite or too large.
    SetupError = 82,
    /// Setup: limits that are not finite or in the wrong order, or a margin that is negative or not
    /// finite.
    SetupRule = 83,
    /// Setup: a fallback that does not keep the limits, or is not finite.
    SetupFallback = 84,
    /// Setup: scales that are not positive, finite and increasing.
    SetupScales = 85,
    /// Setup: a rule on classes for a model with one output.
    SetupClasses = 86,
    /// Setup: `enter` or `leave` is 0.
    SetupHysteresis = 87,
    /// Setup: `stale` is 2^31 or more.
    SetupClock = 88,
    /// Setup: the budget is below `certus_v1_least_budget`.
    SetupBudget = 89,
    /// Setup: the blob has no table of certified regions.
    SetupNoRegions = 90,
    /// Setup: the table's limits are not within the setup's, its margin is below the setup's, or its
    /// rule is of the other kind.
    SetupRegionsRule = 91,
    /// Setup: the table's sensor error does not hold the setup's.
    SetupRegionsError = 92,
}

impl From<BlobError> for Status {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Misaligned => Self::BlobMisaligned,
            BlobError::Truncated => Self::BlobTruncated,
            BlobError::Magic => Self::BlobMagic,
            BlobError::Version(_) => Self::BlobVersion,
            BlobError::Length => Self::BlobLength,
            BlobError::Crc => Self::BlobCrc,
            BlobError::LayerCount => Self::BlobLayerCount,
            BlobError::Inputs => Self::BlobInputs,
            BlobError::Outputs => Self::BlobOutputs,
            BlobError::Reserved => Self::BlobReserved,
            BlobError::Layer { field, .. } => match field {
                Field::Rows => Self::BlobRows,
                Field::Columns => Self::BlobColumns,
                Field::Activation => Self::BlobActivation,
                Field::Through => Self::BlobThrough,
                Field::Reserved => Self::BlobLayerReserved,
                Field::WeightKind => Self::BlobWeightKind,
                Field::WeightOffset => Self::BlobWeightOffset,
                Field::BiasOffset => Self::BlobBiasOffset,
                Field::WeightError => Self::BlobWeightError,
                Field::BiasError => Self::BlobBiasError,
                Field::Weight => Self::BlobWeight,
                Field::Bias => Self::BlobBias,
            },
            // Of an activation; this interface is built with all features.
            BlobError::Feature(_) => Self::BlobActivation,
            BlobError::Regions(RegionsError::Version(_)) => Self::BlobRegionsVersion,
            BlobError::Regions(RegionsError::Crc) => Self::BlobRegionsCrc,
            BlobError::Regions(RegionsError::Model) => Self::BlobRegionsModel,
            BlobError::Regions(_) => Self::BlobRegions,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Region(RegionError::Width { .. }) => Self::RegionWidth,
            Error::Region(RegionError::Entry(_)) => Self::RegionEntry,
            Error::Region(RegionError::Radius) => Self::RegionRadius,
            Error::Region(RegionError::Empty(_)) => Self::RegionEmpty,
            // Of a norm, of which only the radius is given here.
            Error::Region(RegionError::Feature(_)) => Self::RegionRadius,
            Error::Spec => Self::Spec,
            Error::Workspace => Self::Short,
            Error::Activation { .. } => Self::Activation,
            Error::Magnitude { .. } => Self::Magnitude,
        }
    }
}

impl From<SetupError> for Status {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Width(_) => Self::SetupWidth,
            SetupError::Entry(Part::Range) => Self::SetupRange,
            SetupError::Entry(Part::Error) => Self::SetupError,
            SetupError::Entry(Part::Rule) => Self::SetupRule,
            SetupError::Entry(Part::Fallback) => Self::SetupFallback,
            SetupError::Entry(Part::Scales) => Self::SetupScales,
            SetupError::Feature(_) => Self::SetupError,
            SetupError::Outputs => Self::SetupClasses,
            SetupError::Hysteresis => Self::SetupHysteresis,
            SetupError::Clock => Self::SetupClock,
            SetupError::Budget { .. } => Self::SetupBudget,
            SetupError::Memory { .. } => Self::Short,
            SetupError::Regions(Misfit::Model) => Self::SetupNoRegions,
            SetupError::Regions(Misfit::Rule) => Self::SetupRegionsRule,
            SetupError::Regions(Misfit::Error) => Self::SetupRegionsError,
        }
    }
}

/// A result as the number that C sees.
pub(crate) fn status(result: Result<(), Status>) -> Status {
    match result {
        Ok(()) => Status::Ok,
        Err(status) => status,
    }
}

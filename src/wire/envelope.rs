//! The envelope: a fixed header, and payload bytes that nobody on the way looks into.
//!
//! The header is laid out by hand, little-endian, because a coordinator reads it from processes it does
//! not trust: nothing in it can claim more memory than arrived. Who sent an envelope is known from the
//! pipe it came in on, never from a field.
//!
//! ```text
//!  0 version  1 kind  2 codec  3 hops  4 generation:4  8 command:8  16 correlation:8  24 time left in µs:8
//! 32 length of name  33 handles, and 128 more with a key  34 buffers
//! 35 hops × (who:2 command:8)  handles × (owner:2 generation:4 key:8)
//!    key (mark:8 step:8 index:4 length:1 procedure)  name  payload
//! ```
//!
//! The buffers are not among the bytes: they are the descriptors of the same packet, and exactly as many.

mod error;

use std::cell::Cell;
use std::os::fd::OwnedFd;

use smallvec::SmallVec;

use super::attached::{Attached, Buffer, Handle, HandleId, MAX_BUFFERS, MAX_HANDLES, Parcel};
use super::codec::CodecId;
use super::idempotency::IdempotencyKey;
use super::ids::{CommandId, Generation};
pub use error::EnvelopeError;

/// The version of this layout and of everything said in control envelopes.
pub const PROTOCOL_VERSION: u8 = 7;

/// The largest envelope, header included: what one sequenced packet surely takes.
pub const MAX_ENVELOPE_BYTES: usize = 129 * 1024;

/// The largest payload: an envelope's, with room for a header that names all it can.
pub const MAX_PAYLOAD_BYTES: usize = MAX_ENVELOPE_BYTES - 2048;

/// How many calls may lead to a call.
pub const MAX_CHAIN: usize = 16;

const FIXED_BYTES: usize = 35;
const HOP_BYTES: usize = 10;
const HANDLE_BYTES: usize = 14;

/// Beside the number of handles: a key travels.
const WITH_KEY: u8 = 0x80;

/// What an envelope is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A command that wants an answer.
    Request,
    /// A command that wants none.
    Send,
    /// A command for every manager with a handler; answered by a report.
    Broadcast,
    /// The reply of a command that was done.
    Done,
    /// A command that ended otherwise.
    Ended,
    /// The outcome per manager of a broadcast.
    Report,
    /// Coordinator and manager about themselves.
    Control,
    /// A command whose sender, a handler, does nothing else until the answer comes.
    Call,
    /// How far the handler of a command has come.
    Progress,
    /// The reply of a command, followed by a stream of chunks and one more answer at their end.
    Opened,
    /// Some items of a stream that answers a command.
    Chunk,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Send => 2,
            Self::Broadcast => 3,
            Self::Done => 4,
            Self::Ended => 5,
            Self::Report => 6,
            Self::Control => 7,
            Self::Call => 8,
            Self::Progress => 9,
            Self::Opened => 10,
            Self::Chunk => 11,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Request,
            2 => Self::Send,
            3 => Self::Broadcast,
            4 => Self::Done,
            5 => Self::Ended,
            6 => Self::Report,
            7 => Self::Control,
            8 => Self::Call,
            9 => Self::Progress,
            10 => Self::Opened,
            11 => Self::Chunk,
            _ => return None,
        })
    }

    /// Whether a manager is told to do something, and answers.
    pub fn wants_answer(self) -> bool {
        matches!(self, Self::Request | Self::Call | Self::Broadcast)
    }
}

/// Where an envelope is to go, or which manager answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// To whoever serves the command.
    #[default]
    Route,
    /// To the manager of that name; in an answer, from it.
    Named(String),
}

/// One call on the way that led to this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// The caller's place in the rig's list of managers; [`Hop::SCOPE`] for the coordinator process.
    pub who: u16,
    /// The command it was handling when it called.
    pub command: CommandId,
}

impl Hop {
    /// Stands for the coordinator process, which has no place in the list of managers.
    pub const SCOPE: u16 = u16::MAX;

    /// The call in words, given the names of who called and of the command that was being handled there.
    pub fn in_words(&self, manager: Option<&str>, command: Option<&str>) -> String {
        let who = match manager {
            Some(name) => name.to_owned(),
            None if self.who == Self::SCOPE => "scope".to_owned(),
            None => format!("#{}", self.who),
        };
        match command {
            Some(command) => format!("{who}: {command}"),
            None => who,
        }
    }
}

/// The calls that led to a call, outermost first. Most often there is one.
pub type Hops = SmallVec<[Hop; 1]>;

/// Everything about an envelope except its payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// Who wrote the payload.
    pub codec: CodecId,
    /// The life of the manager that the envelope is for, or that answered; 0 when unknown.
    pub generation: Generation,
    /// Which command.
    pub command: CommandId,
    /// The sender's number of the call; the answer carries it back.
    pub correlation: u64,
    /// Time left until the call expires, in µs; 0 for none. In an answer: how long the handler ran.
    pub time_left_us: u64,
    /// Where it goes, or who answered.
    pub target: Target,
    /// The calls that led here, outermost first.
    pub chain: Hops,
    /// What travels beside the payload; nothing, most often.
    pub attached: Option<Box<Attached>>,
}

impl Header {
    /// A header with nothing but a kind.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            codec: CodecId::Postcard,
            generation: Generation(0),
            command: CommandId(0),
            correlation: 0,
            time_left_us: 0,
            target: Target::Route,
            chain: Hops::new(),
            attached: None,
        }
    }

    /// The number of its call; 0 for a one-way command, which has none that could be cancelled or told of.
    pub fn call(&self) -> u64 {
        if self.kind == Kind::Send { 0 } else { self.correlation }
    }

    /// The buffers that travel beside the payload.
    pub fn buffers(&self) -> &[Buffer] {
        self.attached.as_ref().map_or(&[], |attached| &attached.buffers)
    }

    /// The bytes of an envelope with this header. A target's name that is too long for its field is cut, and
    /// stays too long for any manager's.
    pub fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.seal_into(payload, &mut bytes);
        bytes
    }

    /// A payload that came with this header, with what came beside it.
    pub fn parcel(&self, payload: &[u8]) -> Parcel {
        Parcel { bytes: payload.to_vec(), attached: self.attached.clone() }
    }

    /// The whole envelope, with what travels beside it.
    pub fn pack(&self, payload: &[u8]) -> Parcel {
        Parcel { bytes: self.seal(payload), attached: self.attached.clone() }
    }

    /// The bytes, lent: the memory is this thread's, and used again.
    pub(crate) fn lend_sealed<X>(&self, payload: &[u8], read: impl FnOnce(&[u8]) -> X) -> X {
        thread_local! {
            static LENT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        let mut bytes = LENT.take();
        bytes.clear();
        self.seal_into(payload, &mut bytes);
        let outcome = read(&bytes);
        if bytes.capacity() <= MAX_ENVELOPE_BYTES {
            LENT.set(bytes);
        }
        outcome
    }

    /// The same, behind what is in `bytes`, whose memory is used again.
    pub fn seal_into(&self, payload: &[u8], bytes: &mut Vec<u8>) {
        let name = match &self.target {
            Target::Route => "",
            Target::Named(name) => &name[..name.floor_char_boundary(usize::from(u8::MAX))],
        };
        let Self { kind, generation, correlation, .. } = *self;
        self.write(Address { kind, generation, correlation }, name, &self.chain, payload, bytes);
    }

    /// As [`seal_into`](Self::seal_into), as the one who is to do it gets it.
    pub fn seal_for(&self, address: Address, chain: &[Hop], payload: &[u8], bytes: &mut Vec<u8>) {
        self.write(address, "", chain, payload, bytes);
    }

    fn write(&self, address: Address, name: &str, chain: &[Hop], payload: &[u8], bytes: &mut Vec<u8>) {
        let (handles, buffers, key) = match &self.attached {
            None => (&[][..], 0, None),
            Some(attached) => (attached.handles.as_slice(), attached.buffers.len(), attached.key.as_deref()),
        };
        let with_key = if key.is_some() { WITH_KEY } else { 0 };
        let lists = chain.len() * HOP_BYTES + handles.len() * HANDLE_BYTES;
        bytes.reserve(FIXED_BYTES + lists + name.len() + payload.len());
        let mut fixed = [0; FIXED_BYTES];
        fixed[..4].copy_from_slice(&[
            PROTOCOL_VERSION,
            address.kind.number(),
            self.codec.number(),
            chain.len() as u8,
        ]);
        fixed[4..8].copy_from_slice(&address.generation.0.to_le_bytes());
        fixed[8..16].copy_from_slice(&self.command.0.to_le_bytes());
        fixed[16..24].copy_from_slice(&address.correlation.to_le_bytes());
        fixed[24..32].copy_from_slice(&self.time_left_us.to_le_bytes());
        fixed[32..].copy_from_slice(&[name.len() as u8, handles.len() as u8 | with_key, buffers as u8]);
        bytes.extend_from_slice(&fixed);
        for hop in chain {
            bytes.extend_from_slice(&hop.who.to_le_bytes());
            bytes.extend_from_slice(&hop.command.0.to_le_bytes());
        }
        for Handle { id: handle, .. } in handles {
            bytes.extend_from_slice(&handle.owner.to_le_bytes());
            bytes.extend_from_slice(&handle.generation.0.to_le_bytes());
            bytes.extend_from_slice(&handle.key.to_le_bytes());
        }
        if let Some(key) = key {
            seal_key(key, bytes);
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(payload);
    }
}

/// What a command gets on its way to whoever is to do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// Whether an answer is wanted.
    pub kind: Kind,
    /// The life of the manager.
    pub generation: Generation,
    /// The number that its answer carries back; of a one-way command, who sent it.
    pub correlation: u64,
}

#[cold]
fn seal_key(key: &IdempotencyKey, bytes: &mut Vec<u8>) {
    let name = key.name();
    bytes.extend_from_slice(&key.mark.to_le_bytes());
    bytes.extend_from_slice(&key.step.to_le_bytes());
    bytes.extend_from_slice(&key.index.to_le_bytes());
    bytes.push(name.len() as u8);
    bytes.extend_from_slice(name.as_bytes());
}

/// Makes a sealed command that wants no answer one that does, under that number.
pub fn ask_for_answer(sealed: &mut [u8], correlation: u64) {
    sealed[1] = Kind::Request.number();
    sealed[16..24].copy_from_slice(&correlation.to_le_bytes());
}

/// An envelope as it arrived: its header read, its payload untouched.
#[derive(Clone, PartialEq, Debug)]
pub struct Envelope<'a> {
    /// The header.
    pub header: Header,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads a packet that came without descriptors.
    ///
    /// # Errors
    /// [`EnvelopeError`], saying in which way the bytes are not an envelope.
    pub fn open(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        Self::read(bytes, |_| Vec::new())
    }

    /// Reads a packet and takes the buffers out of the descriptors that came with it. Those of a control word are left: it
    /// is the word that says what they are.
    ///
    /// # Errors
    /// As [`open`](Self::open), also when the descriptors are not as many as the header says.
    #[inline]
    pub fn receive(bytes: &'a [u8], descriptors: &mut Vec<OwnedFd>) -> Result<Self, EnvelopeError> {
        Self::read(bytes, |kind| match kind {
            _ if descriptors.is_empty() => Vec::new(),
            Kind::Control => Vec::new(),
            _ => descriptors.drain(..).map(Buffer::new).collect(),
        })
    }

    /// Reads an envelope that was sealed in this process.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn unpack(parcel: &'a Parcel) -> Result<Self, EnvelopeError> {
        Self::read(parcel, |_| parcel.buffers().to_vec())
    }

    #[inline]
    fn read(bytes: &'a [u8], buffers: impl FnOnce(Kind) -> Vec<Buffer>) -> Result<Self, EnvelopeError> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::Oversized);
        }
        let mut reader = Reader { all: bytes.len(), left: bytes };
        let [version, kind, codec, hops] = reader.array()?;
        if version != PROTOCOL_VERSION {
            return Err(EnvelopeError::Version { found: version });
        }
        if usize::from(hops) > MAX_CHAIN {
            return Err(EnvelopeError::TooDeep { found: hops });
        }
        let mut header = Header {
            kind: Kind::from_number(kind).ok_or(EnvelopeError::Kind { found: kind })?,
            codec: CodecId::from_number(codec).ok_or(EnvelopeError::Codec { found: codec })?,
            generation: Generation(u32::from_le_bytes(reader.array()?)),
            command: CommandId(u64::from_le_bytes(reader.array()?)),
            correlation: u64::from_le_bytes(reader.array()?),
            time_left_us: u64::from_le_bytes(reader.array()?),
            target: Target::Route,
            chain: Hops::new(),
            attached: None,
        };
        let [name_bytes, handles, announced] = reader.array()?;
        for _ in 0..hops {
            header.chain.push(reader.hop()?);
        }
        let buffers = buffers(header.kind);
        if (handles, announced) != (0, 0) || !buffers.is_empty() {
            header.attached = reader.attached(handles, announced, buffers)?;
        }
        header.target = reader.target(usize::from(name_bytes))?;
        Ok(Self { header, payload: reader.left })
    }
}

struct Reader<'a> {
    all: usize,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], EnvelopeError> {
        let (taken, left) =
            self.left.split_at_checked(count).ok_or(EnvelopeError::Torn { bytes: self.all })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EnvelopeError> {
        Ok(self.take(N)?.try_into().expect("exactly N bytes were taken"))
    }

    fn hop(&mut self) -> Result<Hop, EnvelopeError> {
        let who = u16::from_le_bytes(self.array()?);
        Ok(Hop { who, command: CommandId(u64::from_le_bytes(self.array()?)) })
    }

    fn attached(
        &mut self,
        handles: u8,
        announced: u8,
        buffers: Vec<Buffer>,
    ) -> Result<Option<Box<Attached>>, EnvelopeError> {
        let (handles, has_key) = (handles & !WITH_KEY, handles & WITH_KEY != 0);
        if usize::from(handles) > MAX_HANDLES || usize::from(announced) > MAX_BUFFERS {
            return Err(EnvelopeError::TooMuchAttached { handles, buffers: announced });
        }
        if usize::from(announced) != buffers.len() {
            return Err(EnvelopeError::Buffers { announced, found: buffers.len() });
        }
        let handles = (0..handles).map(|_| self.handle().map(Into::into)).collect::<Result<_, _>>()?;
        let key = has_key.then(|| self.key()).transpose()?.map(Box::new);
        Ok(Attached { handles, buffers, key }.boxed())
    }

    fn handle(&mut self) -> Result<HandleId, EnvelopeError> {
        let owner = u16::from_le_bytes(self.array()?);
        let generation = Generation(u32::from_le_bytes(self.array()?));
        Ok(HandleId { owner, generation, key: u64::from_le_bytes(self.array()?) })
    }

    fn key(&mut self) -> Result<IdempotencyKey, EnvelopeError> {
        let mark = u64::from_le_bytes(self.array()?);
        let (step, index) = (u64::from_le_bytes(self.array()?), u32::from_le_bytes(self.array()?));
        let [length] = self.array()?;
        let procedure = self.name(usize::from(length))?.to_owned();
        // It becomes part of a line.
        if procedure.contains(char::is_control) {
            return Err(EnvelopeError::Name);
        }
        Ok(IdempotencyKey { procedure, mark, step, index })
    }

    fn name(&mut self, bytes: usize) -> Result<&'a str, EnvelopeError> {
        std::str::from_utf8(self.take(bytes)?).map_err(|_| EnvelopeError::Name)
    }

    fn target(&mut self, name_bytes: usize) -> Result<Target, EnvelopeError> {
        let name = self.name(name_bytes)?;
        Ok(if name.is_empty() { Target::Route } else { Target::Named(name.to_owned()) })
    }
}

#[cfg(test)]
mod tests;

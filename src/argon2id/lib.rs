//! argon2id (RFC 9106, version 0x13) in pieces, between which its thread lets others have the processor.
//!
//! Why it is not a library's: a thread that computes for tens of milliseconds keeps others waiting, whatever its priority.
//! Linux takes the processor from it at its next tick (up to four milliseconds later) where it preempts lazily, and where
//! others have had more than their share; a thread that asks whether somebody else wants it gives it up at once. No library
//! lets one ask in the middle. The gateway's tests hold this against the crate `argon2`.
//!
//! A package of its own, so that it is optimised where nothing else of ours is: unoptimised, a password takes a second.

#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

use std::array::from_fn;

use blake2::digest::Output;
use blake2::digest::block_api::{UpdateCore, VariableOutputCore};
use blake2::digest::block_buffer::LazyBuffer;
use blake2::{Blake2b512, Blake2bVarCore, Digest};
use zeroize::{Zeroize, Zeroizing};

/// A kibibyte, in words (RFC 9106, section 3.2), and four of them.
type Block = [u64; WORDS];
type Row = [u64; 4];

/// What a tag costs (RFC 9106, section 3.1).
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Kibibytes of memory: eight a lane or more.
    pub memory: u32,
    /// How often all of it is filled: once or more.
    pub passes: u32,
    /// Lanes, which are filled one after the other: one or more.
    pub lanes: u32,
}

/// What is filled: zero before and after. One that is kept for the next tag spares the system to find and to clear it.
#[derive(Default)]
pub struct Memory(Vec<Block>);

/// The memory, and where in it the work is.
struct Filling<'a> {
    memory: &'a mut [Block],
    costs: Costs,
    /// Blocks of a lane, and of the quarter of one that is filled before other lanes may refer to it.
    lane_length: usize,
    segment_length: usize,
}

/// Where a segment is (RFC 9106, section 3.4).
#[derive(Clone, Copy)]
struct Segment {
    pass: usize,
    slice: usize,
    lane: usize,
}

/// Fills in the tag of a password, which is as long as there is room (four octets or more), and calls `pause` after every
/// twenty microseconds of work or less. Costs that are too low are raised to what is the least.
pub fn argon2id(
    password: &[u8],
    salt: &[u8],
    costs: Costs,
    tag: &mut [u8],
    Memory(memory): &mut Memory,
    pause: &mut dyn FnMut(),
) {
    let lanes = costs.lanes.max(1);
    let costs = Costs { memory: costs.memory.max(lanes * 8), passes: costs.passes.max(1), lanes };
    let lanes = whole(lanes);
    let segment_length = whole(costs.memory) / (SLICES * lanes);
    let lane_length = segment_length * SLICES;
    // By pieces: what a system clears when it is asked for, it clears when it is first touched.
    memory.truncate(lanes * lane_length);
    memory.reserve_exact(lanes * lane_length - memory.len());
    while memory.len() < lanes * lane_length {
        memory.resize((memory.len() + PIECE).min(lanes * lane_length), [0; WORDS]);
        pause();
    }
    begin(password, salt, costs, tag.len(), memory, lane_length);
    let mut filling = Filling { memory, costs, lane_length, segment_length };
    for pass in 0..whole(costs.passes) {
        for slice in 0..SLICES {
            for lane in 0..lanes {
                filling.fill(Segment { pass, slice, lane }, pause);
            }
        }
    }
    let mut last = Zeroizing::new([0; WORDS]);
    for lane in memory.chunks_exact(lane_length) {
        lane.last().into_iter().for_each(|block| exclusive_or(&mut last, block));
    }
    let octets: Zeroizing<Vec<u8>> =
        Zeroizing::new(last.iter().flat_map(|word| word.to_le_bytes()).collect());
    long_hash(&[&octets], tag);
    for piece in memory.chunks_mut(PIECE) {
        piece.as_flattened_mut().zeroize();
        pause();
    }
}

/// The first two blocks of every lane (RFC 9106, section 3.2, steps 1 to 4).
fn begin(password: &[u8], salt: &[u8], costs: Costs, tag: usize, memory: &mut [Block], lane_length: usize) {
    let mut digest = Blake2b512::new();
    let numbers = [costs.lanes, narrow(tag), costs.memory, costs.passes, VERSION, ARGON2ID];
    numbers.iter().for_each(|number| digest.update(number.to_le_bytes()));
    // Neither a secret nor associated data.
    for part in [password, salt, &[], &[]] {
        digest.update(narrow(part.len()).to_le_bytes());
        digest.update(part);
    }
    let mut seed = digest.finalize();
    let mut octets = Zeroizing::new([0; WORDS * 8]);
    for (number, lane) in memory.chunks_exact_mut(lane_length).enumerate() {
        for (index, block) in lane.iter_mut().take(2).enumerate() {
            let place = [narrow(index).to_le_bytes(), narrow(number).to_le_bytes()];
            long_hash(&[&seed, place.as_flattened()], octets.as_mut_slice());
            let (words, _) = octets.as_chunks();
            block.iter_mut().zip(words).for_each(|(word, octets)| *word = u64::from_le_bytes(*octets));
        }
    }
    seed.zeroize();
}

impl Filling<'_> {
    /// A segment, in pieces (RFC 9106, sections 3.4 and 3.4.1).
    fn fill(&mut self, at: Segment, pause: &mut dyn FnMut()) {
        // The first half of the first pass refers to blocks that do not depend on the password.
        let mut addresses = (at.pass == 0 && at.slice < SLICES / 2).then(|| Addresses::new(self, at));
        let first = if at.pass == 0 && at.slice == 0 { 2 } else { 0 };
        for index in first..self.segment_length {
            let current = at.lane * self.lane_length + at.slice * self.segment_length + index;
            let is_first_of_lane = at.slice == 0 && index == 0;
            let previous = if is_first_of_lane { current + self.lane_length - 1 } else { current - 1 };
            let random = match &mut addresses {
                Some(addresses) => addresses.of(index),
                None => self.memory[previous][0],
            };
            let reference = self.reference(at, index, random);
            let mixed = compress(&self.memory[previous], &self.memory[reference]);
            // What the first pass finds is zero.
            exclusive_or(&mut self.memory[current], &mixed);
            if index.is_multiple_of(PIECE) {
                pause();
            }
        }
    }

    /// The block that a random number refers to (RFC 9106, section 3.4.2).
    fn reference(&self, at: Segment, index: usize, random: u64) -> usize {
        let lanes = whole(self.costs.lanes);
        let is_first = at.pass == 0 && at.slice == 0;
        let lane = if is_first { at.lane } else { (random >> 32) as usize % lanes };
        let finished = if at.pass == 0 { at.slice } else { SLICES - 1 } * self.segment_length;
        let area = if lane == at.lane { finished + index - 1 } else { finished - usize::from(index == 0) };
        let low = random & LOW;
        let back = (area as u64 * ((low * low) >> 32)) >> 32;
        let start = if at.pass == 0 { 0 } else { (at.slice + 1) % SLICES * self.segment_length };
        lane * self.lane_length + (start + area - 1 - back as usize) % self.lane_length
    }
}

/// Random numbers that only a segment's place says (RFC 9106, section 3.4.1.2).
struct Addresses {
    input: Block,
    block: Block,
}

impl Addresses {
    fn new(filling: &Filling<'_>, at: Segment) -> Self {
        let mut input = [0; WORDS];
        let passes = filling.costs.passes.into();
        let place = [at.pass, at.lane, at.slice, filling.memory.len()].map(|number| number as u64);
        input[..6].copy_from_slice(&[place[0], place[1], place[2], place[3], passes, ARGON2ID.into()]);
        let mut new = Self { input, block: [0; WORDS] };
        new.next();
        new
    }

    fn next(&mut self) {
        self.input[6] += 1;
        let once = compress(&[0; WORDS], &self.input);
        self.block = compress(&[0; WORDS], &once);
    }

    /// That of a block: those of one after the other are asked for.
    fn of(&mut self, index: usize) -> u64 {
        if index != 0 && index.is_multiple_of(WORDS) {
            self.next();
        }
        self.block[index % WORDS]
    }
}

/// G (RFC 9106, section 3.5).
#[inline(always)]
fn compress(one: &Block, other: &Block) -> Block {
    let mut mixed = *one;
    exclusive_or(&mut mixed, other);
    let both = mixed;
    for row in 0..8 {
        permute(&mut mixed, row * 16, 2);
    }
    for column in 0..8 {
        permute(&mut mixed, column * 2, 16);
    }
    exclusive_or(&mut mixed, &both);
    mixed
}

/// P, of eight pairs of words, each so far from the one before it (RFC 9106, section 3.6).
#[inline(always)]
fn permute(block: &mut Block, first: usize, step: usize) {
    let [a, b, c, d] = [0, 1, 2, 3].map(|row| {
        let (one, other) = (first + 2 * row * step, first + (2 * row + 1) * step);
        [block[one], block[one + 1], block[other], block[other + 1]]
    });
    let [a, [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]] = mix([a, b, c, d]);
    // Its diagonals, as columns.
    let turned = mix([a, [b1, b2, b3, b0], [c2, c3, c0, c1], [d3, d0, d1, d2]]);
    let [a, [b1, b2, b3, b0], [c2, c3, c0, c1], [d3, d0, d1, d2]] = turned;
    let rows = [a, [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]];
    for (row, words) in rows.into_iter().enumerate() {
        let (one, other) = (first + 2 * row * step, first + (2 * row + 1) * step);
        [block[one], block[one + 1], block[other], block[other + 1]] = words;
    }
}

/// GB, of four columns at once: by value and in rows, which is what a compiler makes vectors of (RFC 9106, section 3.6).
#[inline(always)]
fn mix([mut a, mut b, mut c, mut d]: [Row; 4]) -> [Row; 4] {
    for (first, second) in [(32, 24), (16, 63)] {
        a = from_fn(|i| multiply_add(a[i], b[i]));
        d = from_fn(|i| (d[i] ^ a[i]).rotate_right(first));
        c = from_fn(|i| multiply_add(c[i], d[i]));
        b = from_fn(|i| (b[i] ^ c[i]).rotate_right(second));
    }
    [a, b, c, d]
}

#[inline(always)]
fn multiply_add(one: u64, other: u64) -> u64 {
    one.wrapping_add(other).wrapping_add(((one & LOW) * (other & LOW)).wrapping_mul(2))
}

#[inline(always)]
fn exclusive_or(block: &mut Block, other: &Block) {
    block.iter_mut().zip(other).for_each(|(word, other)| *word ^= other);
}

/// H', a hash of any length (RFC 9106, section 3.3).
fn long_hash(inputs: &[&[u8]], out: &mut [u8]) {
    let length = narrow(out.len()).to_le_bytes();
    if out.len() <= DIGEST {
        return short_hash(&[&[length.as_slice()], inputs].concat(), out);
    }
    let mut digest = Blake2b512::new_with_prefix(length);
    inputs.iter().for_each(|input| digest.update(input));
    let mut last = digest.finalize();
    let mut rest = out;
    loop {
        let (half, behind) = rest.split_at_mut(DIGEST / 2);
        half.copy_from_slice(&last[..DIGEST / 2]);
        rest = behind;
        if rest.len() <= DIGEST {
            break short_hash(&[&last], rest);
        }
        last = Blake2b512::digest(last);
    }
}

/// BLAKE2b of a length that is known when it runs.
fn short_hash(inputs: &[&[u8]], out: &mut [u8]) {
    let Ok(mut core) = Blake2bVarCore::new(out.len()) else { return };
    let mut buffer = LazyBuffer::default();
    for input in inputs {
        buffer.digest_blocks(input, |blocks| core.update_blocks(blocks));
    }
    let mut whole = Output::<Blake2b512>::default();
    core.finalize_variable_core(&mut buffer, &mut whole);
    out.copy_from_slice(&whole[..out.len()]);
    whole.zeroize();
}

fn whole(number: u32) -> usize {
    number as usize
}

/// A length that argon2 writes in four octets: no password, salt or memory of ours comes near.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Blocks between two pauses: some fifteen microseconds of work.
const PIECE: usize = 32;
/// Words of a block, and octets of BLAKE2b-512.
const WORDS: usize = 128;
const DIGEST: usize = 64;
/// Slices of a lane (RFC 9106, section 3.4), the version and the kind.
const SLICES: usize = 4;
const VERSION: u32 = 0x13;
const ARGON2ID: u32 = 2;
/// The lower half of a word.
const LOW: u64 = 0xffff_ffff;

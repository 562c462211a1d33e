//! Changes that keep an input almost what it was.

use proptest::{prelude::*, sample::Index};

/// One change of a byte string.
#[derive(Debug, Clone)]
pub enum Change {
    Flip(Index, u8),
    Put(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// A piece of itself, once more somewhere else.
    Repeat(Index, usize, Index),
    /// Two neighbouring pieces change places.
    Swap(Index, usize),
    End(Index),
}

/// One change, at times up to three, with words that mean something where the input is read.
pub fn changes(words: &'static [&'static str]) -> impl Strategy<Value = Vec<Change>> {
    let word = prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let change = prop_oneof![
        4 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        3 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        4 => (any::<Index>(), word).prop_map(|(at, word)| Change::Insert(at, word)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, vec![byte])),
        3 => (any::<Index>(), 1..20usize).prop_map(|(at, length)| Change::Remove(at, length)),
        2 => (any::<Index>(), 1..80usize, any::<Index>())
            .prop_map(|(from, length, to)| Change::Repeat(from, length, to)),
        2 => (any::<Index>(), 1..20usize).prop_map(|(at, length)| Change::Swap(at, length)),
        1 => any::<Index>().prop_map(Change::End),
    ];
    prop_oneof![
        6 => change.clone().prop_map(|change| vec![change]),
        1 => prop::collection::vec(change, 2..4),
    ]
}

/// The input with every change made, one after the other.
pub fn changed(original: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for change in changes {
        make(&mut bytes, change);
    }
    bytes
}

fn make(bytes: &mut Vec<u8>, change: &Change) {
    let within = |index: &Index| index.index(bytes.len() + 1);
    match change {
        Change::Insert(at, piece) => {
            let at = within(at);
            bytes.splice(at..at, piece.iter().copied());
        }
        Change::End(at) => bytes.truncate(within(at)),
        _ if bytes.is_empty() => {}
        Change::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Change::Put(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Change::Remove(at, length) => {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + length).min(bytes.len()));
        }
        Change::Repeat(from, length, to) => {
            let from = from.index(bytes.len());
            let to = within(to);
            let piece = bytes[from..(from + length).min(bytes.len())].to_vec();
            bytes.splice(to..to, piece);
        }
        Change::Swap(at, length) => {
            let at = at.index(bytes.len());
            let end = (at + 2 * length).min(bytes.len());
            let middle = (at + length).min(end);
            bytes[at..end].rotate_left(middle - at);
        }
    }
}

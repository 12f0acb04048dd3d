//! Documents made of others: pieces taken out, doubled, exchanged and put in, token by token and now and then octet by octet.

/// Numbers from a seed (splitmix64).
#[derive(Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next one below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }
}

/// A document made of one of the seeds.
pub fn mutant(seeds: &[&str], chance: &mut Chance) -> String {
    let seed = seeds[chance.below(seeds.len())];
    let mut pieces = pieces(seed);
    for _ in 0..=chance.below(4) {
        let at = chance.below(pieces.len() + 1);
        match chance.below(6) {
            0 if at < pieces.len() => drop(pieces.remove(at)),
            1 if at < pieces.len() => pieces.insert(at, pieces[at].clone()),
            2 if at < pieces.len() => {
                let other = chance.below(pieces.len());
                pieces.swap(at, other);
            }
            3 => pieces.insert(at, FOUND[chance.below(FOUND.len())].to_owned()),
            4 if at < pieces.len() => pieces[at] = FOUND[chance.below(FOUND.len())].to_owned(),
            5 if at < pieces.len() => octet(&mut pieces[at], chance),
            _ => {
                let other = self::pieces(seeds[chance.below(seeds.len())]);
                let (from, length) = (chance.below(other.len()), chance.below(12));
                let more = other.into_iter().skip(from).take(length);
                pieces.splice(at..at, more);
            }
        }
    }
    pieces.concat()
}

/// Changes one character.
fn octet(piece: &mut String, chance: &mut Chance) {
    let mut characters: Vec<char> = piece.chars().collect();
    let at = chance.below(characters.len());
    const STRANGE: &[char] = &[
        '\u{0}',
        '\u{b}',
        '\u{7f}',
        '\u{85}',
        '\u{a0}',
        '\u{2028}',
        '\u{feff}',
        '\u{1f600}',
        '\r',
        '\\',
        '"',
        '#',
    ];
    if let Some(character) = characters.get_mut(at) {
        *character = match chance.below(3) {
            0 => STRANGE[chance.below(STRANGE.len())],
            _ => char::from(32 + chance.below(95) as u8),
        };
    }
    *piece = characters.into_iter().collect();
}

/// Cuts a text where tokens may end. Together they are the text.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut is_word = false;
    for character in text.chars() {
        let goes_on = character.is_alphanumeric() || character == '_';
        match pieces.last_mut() {
            Some(last) if goes_on && is_word => last.push(character),
            _ => pieces.push(character.into()),
        }
        is_word = goes_on;
    }
    pieces
}

/// What is put in.
const FOUND: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "=",
    "@",
    "!",
    "$",
    "$a",
    "...",
    "... on T",
    "...F",
    "&",
    "|",
    ".",
    "..",
    ",",
    " ",
    "\n",
    "\r",
    "\t",
    "a",
    "b: c",
    "on",
    "query",
    "mutation",
    "subscription",
    "fragment",
    "fragment F on T {a}",
    "type T {a: B}",
    "true",
    "null",
    "__typename",
    "__schema",
    "0",
    "-0",
    "01",
    "1.5",
    "1e9",
    "1.",
    "-",
    "\"\"",
    "\"a\"",
    "\"\\\"\"",
    "\"\\u00e9\"",
    "\"\\u{1F600}\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\uD83D\"",
    "\"\"\"a\"\"\"",
    "\"\"\"\\\"\"\"\"\"\"",
    "\"\"\"a\\\\\"\"\"",
    "\"",
    "\"\"\"",
    "#",
    "# a }\n",
    "#\r",
    "@skip(if: true)",
    "@include(if: $a)",
    "\u{feff}",
    "\u{2028}",
    "\u{0}",
    "(a: 1)",
    "(a: {b: [$c]})",
    "{a}",
    "{}",
];

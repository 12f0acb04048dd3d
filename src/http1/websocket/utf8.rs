//! UTF-8 that comes in pieces (RFC 3629), cut anywhere.

/// Checks one text. It holds the beginning of a character at most.
#[derive(Debug, Default)]
pub(in crate::http1) struct Utf8 {
    begun: [u8; 4],
    there: usize,
}

impl Utf8 {
    /// Takes the next octets; `false` where no text has them here. Then the text is none, whatever follows.
    pub(in crate::http1) fn pass(&mut self, octets: &[u8]) -> bool {
        let mut rest = octets;
        while self.there > 0 {
            let Some((octet, after)) = rest.split_first() else { return true };
            rest = after;
            let Some(place) = self.begun.get_mut(self.there) else { return false };
            *place = *octet;
            self.there += 1;
            match str::from_utf8(self.begun.get(..self.there).unwrap_or_default()) {
                Ok(_) => self.there = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return false,
            }
        }
        let Err(error) = str::from_utf8(rest) else { return true };
        let begun = rest.get(error.valid_up_to()..).unwrap_or_default();
        match (error.error_len(), self.begun.get_mut(..begun.len())) {
            (None, Some(place)) => {
                place.copy_from_slice(begun);
                self.there = begun.len();
                true
            }
            (Some(_), _) | (None, None) => false,
        }
    }

    /// Whether it may end here: not within a character.
    pub(in crate::http1) fn is_whole(&self) -> bool {
        self.there == 0
    }
}

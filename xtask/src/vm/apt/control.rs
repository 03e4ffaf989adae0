//! The text format of Debian's control data: stanzas of fields (deb822(5)).

/// Fields that belong together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Stanza(Vec<(String, String)>);

impl Stanza {
    /// A field's value; names match in any case. Continuation lines are joined by newlines.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The words of a field; none when it is missing.
    pub(crate) fn words(&self, name: &str) -> impl Iterator<Item = &str> {
        self.get(name).unwrap_or_default().split_whitespace()
    }

    /// The names in a field of relations such as `Depends`, without versions and with the first of
    /// each set of alternatives.
    pub(crate) fn relations(&self, name: &str) -> impl Iterator<Item = &str> {
        let relations = self.get(name).unwrap_or_default().split(',');
        relations.filter_map(|relation| relation.split_whitespace().next())
    }
}

/// All stanzas of a text. Lines that are no field are left out.
pub(crate) fn stanzas(text: &str) -> Vec<Stanza> {
    let mut stanzas = Vec::new();
    let mut stanza = Stanza::default();
    for line in text.lines() {
        if line.trim().is_empty() {
            stanzas.push(std::mem::take(&mut stanza));
        } else if line.starts_with('#') {
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.0.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.0.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.push(stanza);
    stanzas.retain(|stanza| !stanza.0.is_empty());
    stanzas
}

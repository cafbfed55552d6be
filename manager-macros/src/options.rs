//! The options inside our attributes: `#[command(reply = Settled, name = "Move")]`.
//!
//! A macro names the options it knows and what each takes. Unknown ones, those given twice and those
//! with the wrong kind of value are reported, all of them; the rest is still usable.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, ExprUnary, Lit, LitStr, Meta, Path, Token, Type, UnOp, parenthesized};

use crate::mistakes::Mistakes;

/// What an option takes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Takes {
    /// Nothing: `broadcast`.
    Nothing,
    /// A type: `reply = Settled`.
    Type,
    /// Text: `kind = "motor"`.
    Text,
    /// A number, also negative or broken: `min = -0.5`.
    Number,
    /// A whole number above zero, without a suffix that could be taken for a unit: `milliseconds = 20`.
    Count,
    /// Paths: `roles(Acquires)`.
    Paths,
    /// Names and what they are: `shares(tracks = RowRing::<Track>::declare(4096))`.
    Named,
}

/// An option that a macro knows, what it takes, and an example of it.
pub(crate) type Known = (&'static str, Takes, &'static str);

/// The value of an option.
pub(crate) enum Value {
    Nothing,
    Type(Box<Type>),
    Text(LitStr),
    Number(f64, Box<Expr>),
    Count(u64),
    Paths(Vec<Path>),
    Named(Vec<(Ident, Expr)>),
}

/// Options as they were given.
#[derive(Default)]
pub(crate) struct Options(Vec<(Ident, Value)>);

impl Options {
    /// Reads the options of an attribute on an item, `#[name(…)]`, if it has any.
    pub(crate) fn of_meta(meta: &Meta, known: &[Known], mistakes: &mut Mistakes) -> Self {
        match meta {
            Meta::Path(_) => Self::default(),
            Meta::List(list) => Self::of_tokens(list.tokens.clone(), known, mistakes),
            Meta::NameValue(pair) => {
                let example = known.first().map_or("", |(_, _, example)| example);
                let name = pair.path.get_ident().map(ToString::to_string).unwrap_or_default();
                let help = format!("write `#[{name}({example})]`");
                mistakes.add(&pair.eq_token, "options stand in parentheses", help);
                Self::default()
            }
        }
    }

    /// Reads the options between the parentheses of an attribute.
    pub(crate) fn of_tokens(tokens: TokenStream, known: &[Known], mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        let read_all = |input: ParseStream| {
            while !input.is_empty() {
                options.read(input, known, mistakes)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = read_all.parse2(tokens) {
            mistakes.absorb(error);
        }
        options
    }

    /// Adds the options of a further attribute of the same kind.
    pub(crate) fn extend(&mut self, more: Self, mistakes: &mut Mistakes) {
        more.0.into_iter().for_each(|(key, value)| self.insert(key, value, mistakes));
    }

    fn read(&mut self, input: ParseStream, known: &[Known], mistakes: &mut Mistakes) -> syn::Result<()> {
        let key: Ident = input.parse()?;
        let Some((_, takes, example)) = known.iter().find(|(name, ..)| key == name) else {
            mistakes.add(&key, format!("unknown option `{key}`"), suggestion(&key, known));
            return skip(input);
        };
        match value(input, *takes) {
            Some(value) => self.insert(key, value, mistakes),
            None => mistakes.add(&key, unfit(&key, *takes), format!("write `{example}`")),
        }
        skip(input)
    }

    fn insert(&mut self, key: Ident, value: Value, mistakes: &mut Mistakes) {
        if self.has(&key.to_string()) {
            mistakes.add(&key, format!("option `{key}` is given twice"), "keep one of them");
        } else {
            self.0.push((key, value));
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The keyword itself, to point at.
    pub(crate) fn key(&self, name: &str) -> Option<&Ident> {
        self.0.iter().find(|(key, _)| key == name).map(|(key, _)| key)
    }

    /// Whether the option is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.key(name).is_some()
    }

    /// The keywords that are given, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Ident> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        if let Some(Value::Type(ty)) = self.get(name) { Some(ty) } else { None }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&LitStr> {
        if let Some(Value::Text(text)) = self.get(name) { Some(text) } else { None }
    }

    pub(crate) fn number(&self, name: &str) -> Option<(f64, &Expr)> {
        if let Some(Value::Number(number, written)) = self.get(name) {
            Some((*number, written))
        } else {
            None
        }
    }

    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        if let Some(Value::Count(count)) = self.get(name) { Some(*count) } else { None }
    }

    pub(crate) fn named(&self, name: &str) -> &[(Ident, Expr)] {
        if let Some(Value::Named(named)) = self.get(name) { named } else { &[] }
    }

    pub(crate) fn paths(&self, name: &str) -> &[Path] {
        if let Some(Value::Paths(paths)) = self.get(name) { paths } else { &[] }
    }
}

/// `tracks = RowRing::<Track>::declare(4096)`.
struct Definition(Ident, Expr);

impl syn::parse::Parse for Definition {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self(name, input.parse()?))
    }
}

/// Reads what follows the keyword; `None` when it is not what the option takes.
fn value(input: ParseStream, takes: Takes) -> Option<Value> {
    match takes {
        Takes::Nothing => at_end(input).then_some(Value::Nothing),
        Takes::Paths => paths(input).ok().map(Value::Paths),
        Takes::Named => named(input).ok().map(Value::Named),
        Takes::Type => {
            input.parse::<Token![=]>().ok()?;
            let ty = input.parse().ok()?;
            at_end(input).then(|| Value::Type(Box::new(ty)))
        }
        Takes::Text | Takes::Number | Takes::Count => {
            input.parse::<Token![=]>().ok()?;
            literal(input.parse().ok()?, takes).filter(|_| at_end(input))
        }
    }
}

fn literal(written: Expr, takes: Takes) -> Option<Value> {
    match (takes, ungrouped(&written)) {
        (Takes::Text, Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Some(Value::Text(text.clone())),
        (Takes::Count, Expr::Lit(ExprLit { lit: Lit::Int(count), .. })) if count.suffix().is_empty() => {
            count.base10_parse().ok().filter(|count| *count > 0).map(Value::Count)
        }
        (Takes::Number, plain) => number(plain).map(|number| Value::Number(number, Box::new(written))),
        _ => None,
    }
}

fn number(written: &Expr) -> Option<f64> {
    match ungrouped(written) {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_digits().parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_digits().parse().ok(),
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number: f64| -number),
        _ => None,
    }
}

/// The expression without the invisible groups that `macro_rules` leaves.
fn ungrouped(written: &Expr) -> &Expr {
    match written {
        Expr::Group(group) => ungrouped(&group.expr),
        other => other,
    }
}

fn paths(input: ParseStream) -> syn::Result<Vec<Path>> {
    let inside;
    parenthesized!(inside in input);
    Ok(Punctuated::<Path, Token![,]>::parse_terminated_with(&inside, Path::parse_mod_style)?
        .into_iter()
        .collect())
}

fn named(input: ParseStream) -> syn::Result<Vec<(Ident, Expr)>> {
    let inside;
    parenthesized!(inside in input);
    // All of it is taken, so that what cannot be read is told once.
    let written: TokenStream = inside.parse()?;
    let all = Punctuated::<Definition, Token![,]>::parse_terminated.parse2(written)?;
    Ok(all.into_iter().map(|Definition(name, value)| (name, value)).collect())
}

fn at_end(input: ParseStream) -> bool {
    input.is_empty() || input.peek(Token![,])
}

/// Passes over what is left of an option that could not be used.
fn skip(input: ParseStream) -> syn::Result<()> {
    if input.fork().parse::<Assigned>().is_ok() {
        input.parse::<Assigned>()?;
    }
    while !at_end(input) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// `= Type`, whose commas between angle brackets are not ends.
struct Assigned;

impl syn::parse::Parse for Assigned {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        input.parse::<Token![=]>()?;
        input.parse::<Type>()?;
        Ok(Self)
    }
}

fn unfit(key: &Ident, takes: Takes) -> String {
    let what = match takes {
        Takes::Nothing => "takes no value",
        Takes::Type => "takes a type",
        Takes::Text => "takes text in quotes",
        Takes::Number => "takes a number",
        Takes::Count => "takes a whole number above zero",
        Takes::Paths => "takes names in parentheses",
        Takes::Named => "takes names and what they are, in parentheses",
    };
    format!("option `{key}` {what}")
}

fn suggestion(key: &Ident, known: &[Known]) -> String {
    let written = key.to_string();
    let near = known.iter().map(|(name, ..)| (distance(&written, name), *name)).min();
    match near {
        Some((steps, name)) if steps <= name.len() / 3 + 1 => format!("did you mean `{name}`?"),
        _ => {
            let names: Vec<_> = known.iter().map(|(name, ..)| format!("`{name}`")).collect();
            format!("known here: {}", names.join(", "))
        }
    }
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.chars().enumerate() {
            let step = (diagonal + usize::from(a != b)).min(row[j].min(row[j + 1]) + 1);
            diagonal = std::mem::replace(&mut row[j + 1], step);
        }
    }
    row[right.chars().count()]
}

//! The body of a block or trait, as tokens.
//!
//! What the user wrote is emitted again token by token, without our marks. To read it, the bodies of
//! methods are left aside: a macro that stumbles over a half-typed line would take every completion and
//! every other error of the block with it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::parse::Parse;

use crate::marks;

/// The item without our marks on its methods.
pub(crate) fn unmarked(item: &TokenStream) -> TokenStream {
    without(item, &marks::is_mark)
}

/// The item without those attributes between its braces; they are judged by what stands between their brackets.
pub(crate) fn without(item: &TokenStream, is_mark: &dyn Fn(&TokenStream) -> bool) -> TokenStream {
    within(item, &|tokens| {
        let begins = |index: usize| begins_mark(&tokens, index, is_mark);
        let is_mark = |index: usize| begins(index) || index.checked_sub(1).is_some_and(begins);
        let kept = tokens.iter().enumerate().filter(|(index, _)| !is_mark(*index));
        kept.map(|(_, token)| token.clone()).collect()
    })
}

/// Reads the item with empty methods.
pub(crate) fn read<T: Parse>(item: &TokenStream) -> syn::Result<T> {
    syn::parse2(within(item, &|tokens| {
        let hollow = |(index, token): (usize, &TokenTree)| match token {
            TokenTree::Group(group) if is_body(&tokens, index) => emptied(group),
            other => other.clone(),
        };
        tokens.iter().enumerate().map(hollow).collect()
    }))
}

/// The item with a further one between its braces.
pub(crate) fn extended(item: &TokenStream, with: &TokenStream) -> TokenStream {
    within(item, &|tokens| tokens.into_iter().chain(with.clone()).collect())
}

/// Whether the item begins, after its attributes, as one that `keyword` introduces.
pub(crate) fn is_introduced_by(item: &TokenStream, keyword: &str) -> bool {
    item.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(word) if word == keyword))
}

/// Changes what stands between the item's braces.
fn within(item: &TokenStream, change: &dyn Fn(Vec<TokenTree>) -> TokenStream) -> TokenStream {
    let mut tokens: Vec<_> = item.clone().into_iter().collect();
    if let Some(TokenTree::Group(group)) = tokens.last_mut()
        && group.delimiter() == Delimiter::Brace
    {
        *group = like(group, change(group.stream().into_iter().collect()));
    }
    tokens.into_iter().collect()
}

/// Whether an attribute of ours begins here: `#` and its brackets.
fn begins_mark(tokens: &[TokenTree], index: usize, is_mark: &dyn Fn(&TokenStream) -> bool) -> bool {
    match (&tokens[index], tokens.get(index + 1)) {
        (TokenTree::Punct(hash), Some(TokenTree::Group(group))) => {
            hash.as_char() == '#' && is_mark(&group.stream())
        }
        _ => false,
    }
}

/// Whether a method's body stands here, and not a constant among generic arguments.
fn is_body(tokens: &[TokenTree], index: usize) -> bool {
    let is_braced =
        matches!(&tokens[index], TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let is_argument =
        matches!(tokens.get(index + 1), Some(TokenTree::Punct(next)) if ">,".contains(next.as_char()));
    is_braced && !is_argument
}

fn emptied(group: &Group) -> TokenTree {
    like(group, TokenStream::new()).into()
}

fn like(group: &Group, stream: TokenStream) -> Group {
    let mut changed = Group::new(group.delimiter(), stream);
    changed.set_span(group.span());
    changed
}

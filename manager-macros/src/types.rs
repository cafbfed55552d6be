//! What can be seen of a type without asking the compiler.

use syn::visit::{self, Visit};
use syn::{GenericArgument, Lifetime, PathArguments, PathSegment, Type, TypeReference};

/// The type without the invisible groups that `macro_rules` leaves, and without parentheses.
pub(crate) fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        other => other,
    }
}

/// The last segment of a type that is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match plain(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Whether the type is a path that ends with `name`.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// Whether the type is `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(plain(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The first generic type argument: `T` in `Option<T>`.
pub(crate) fn first_argument(ty: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &last_segment(ty)?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The error type of a `Result<T, E>`, where it is written out.
pub(crate) fn error_of(ty: &Type) -> Option<&Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == "Result")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.iter().nth(1)? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

/// Whether a value of the type would borrow what it was read from.
pub(crate) fn is_borrowed(ty: &Type) -> bool {
    #[derive(Default)]
    struct Search {
        found: bool,
    }
    impl<'ast> Visit<'ast> for Search {
        fn visit_lifetime(&mut self, _: &'ast Lifetime) {
            self.found = true;
        }
        fn visit_type_reference(&mut self, _: &'ast TypeReference) {
            self.found = true;
        }
        fn visit_type_bare_fn(&mut self, _: &'ast syn::TypeBareFn) {}
    }
    let mut search = Search::default();
    visit::visit_type(&mut search, ty);
    search.found
}

/// What a number's unit or bounds cannot be said of.
pub(crate) enum NotANumber {
    /// Text, a truth value, nothing.
    Never(&'static str),
    /// Many values, of which a unit can be told and bounds cannot.
    Many(&'static str),
}

/// What the type evidently is instead of a number; `None` when it may be one.
pub(crate) fn not_a_number(ty: &Type) -> Option<NotANumber> {
    let ty = plain(ty);
    if is_unit(ty) {
        return Some(NotANumber::Never("nothing"));
    }
    if matches!(ty, Type::Tuple(_) | Type::Array(_) | Type::Slice(_)) {
        return Some(NotANumber::Many("several values"));
    }
    match last_segment(ty)?.ident.to_string().as_str() {
        "String" | "str" | "char" | "PathBuf" => Some(NotANumber::Never("text")),
        "bool" => Some(NotANumber::Never("a `bool`")),
        "Duration" => Some(NotANumber::Never("a `Duration`, which has its own")),
        "Vec" | "VecDeque" | "HashSet" | "BTreeSet" => Some(NotANumber::Many("a list")),
        "HashMap" | "BTreeMap" => Some(NotANumber::Many("a map")),
        "Option" | "Box" => first_argument(ty).and_then(not_a_number),
        _ => None,
    }
}

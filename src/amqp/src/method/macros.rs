//! The notation in which the classes are declared.
//!
//! ```text
//! class! {
//!     /// Doc of the class's enum.
//!     60 "basic" Basic Method<'a>;          id, name, variant of the enum of all methods, generics
//!
//!     /// Doc of the method's struct.
//!     80 "ack" Ack {                        id, name, struct (with <'a> if it borrows)
//!         [reserved_short]                  a field without meaning: skipped and sent as zero
//!         /// Doc of the field.
//!         delivery_tag: u64 as long_long,   name, type, and the function of Reader and Writer for its wire type
//!         multiple: bool as bit,            neighbouring bits share an octet
//!     }
//!     40 "publish" Publish<'a> { by hand }   a struct that implements Fields itself
//! }
//! ```

use crate::{
    WireError,
    wire::{Reader, Writer},
};

/// The fields of a method, in the order of the wire.
pub(crate) trait Fields<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError>;
    fn write(&self, writer: &mut Writer<'_>);
}

/// The methods of a class.
pub(crate) trait Class<'a>: Sized {
    fn read(method_id: u16, reader: &mut Reader<'a>) -> Result<Self, WireError>;
    fn write(&self, writer: &mut Writer<'_>);
}

/// The struct of one method.
macro_rules! fields {
    // Without meaning or without fields: a unit struct.
    ($(#[$doc:meta])* $method:ident { $([$reserved:ident])* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $method;

        impl<'a> Fields<'a> for $method {
            fn read(_reader: &mut Reader<'a>) -> Result<Self, WireError> {
                $(_reader.$reserved()?;)*
                Ok(Self)
            }

            fn write(&self, _writer: &mut Writer<'_>) {
                $(_writer.$reserved();)*
            }
        }
    };
    ($(#[$doc:meta])* $method:ident $(<$life:lifetime>)? {
        $([$before:ident])*
        $($(#[$field_doc:meta])* $field:ident: $type:ty as $wire:ident,)+
        $([$after:ident])*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $method $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)+
        }

        impl<'a> Fields<'a> for $method $(<$life>)? {
            #[inline]
            fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
                $(reader.$before()?;)*
                $(let $field = reader.$wire()?;)+
                $(reader.$after()?;)*
                Ok(Self { $($field),+ })
            }

            #[inline]
            fn write(&self, writer: &mut Writer<'_>) {
                $(writer.$before();)*
                $(writer.$wire(&self.$field);)+
                $(writer.$after();)*
            }
        }
    };
    ($(#[$doc:meta])* $method:ident $(<$life:lifetime>)? { by hand }) => {};
}

/// A class: its methods' structs, and the enum of them. See the module's documentation.
macro_rules! class {
    (
        $(#[$class_doc:meta])*
        $class_id:literal $class_name:literal $variant:ident Method $(<$class_life:lifetime>)?;
        $(
            $(#[$doc:meta])*
            $id:literal $name:literal $method:ident $(<$life:lifetime>)? { $($body:tt)* }
        )+
    ) => {
        $(fields! { $(#[$doc])* $method $(<$life>)? { $($body)* } })+

        $(#[$class_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum Method $(<$class_life>)? {
            $(#[doc = concat!("`", $class_name, ".", $name, "`")] $method($method $(<$life>)?),)+
        }

        impl $(<$class_life>)? Method $(<$class_life>)? {
            /// The class's number on the wire.
            pub const CLASS_ID: u16 = $class_id;

            /// The method's number on the wire.
            #[must_use]
            pub const fn id(&self) -> u16 {
                match self { $(Self::$method(_) => $id,)+ }
            }

            /// Class and method, such as `basic.publish`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$method(_) => concat!($class_name, ".", $name),)+ }
            }
        }

        impl<'a> Class<'a> for Method $(<$class_life>)? {
            #[inline]
            fn read(method_id: u16, reader: &mut Reader<'a>) -> Result<Self, WireError> {
                match method_id {
                    $($id => {
                        reader.name(concat!($class_name, ".", $name));
                        $method::read(reader).map(Self::$method)
                    })+
                    _ => Err(WireError::UnknownMethod { class_id: $class_id, method_id }),
                }
            }

            #[inline]
            fn write(&self, writer: &mut Writer<'_>) {
                match self { $(Self::$method(method) => method.write(writer),)+ }
            }
        }

        $(
            impl $(<$life>)? $method $(<$life>)? {
                /// The method's number on the wire.
                pub const ID: u16 = $id;
            }

            impl<'a> From<$method $(<$life>)?> for crate::Method<'a> {
                fn from(method: $method $(<$life>)?) -> Self {
                    Self::$variant(Method::$method(method))
                }
            }
        )+
    };
}

pub(crate) use {class, fields};

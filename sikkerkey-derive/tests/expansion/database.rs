#[automatically_derived]
impl ::sikkerkey::__private::VisitNested for Database {
    fn visit(
        __from: &mut ::sikkerkey::__private::Reader<'_>,
    ) -> ::core::option::Option<Self> {
        use ::sikkerkey::__private as __sikkerkey;
        __sikkerkey::enter(
            __from,
            "Database",
            ::core::option::Option::Some(__sikkerkey::Secret::Id("sk_db_prod")),
        );
        let __field_host = __sikkerkey::required(
            __from,
            &const {
                __sikkerkey::field(
                    "host",
                    "Where it is.",
                    __sikkerkey::FieldSource::FieldOfStruct("host"),
                )
            },
            __sikkerkey::value::<String>,
        );
        let __field_port = __sikkerkey::or_default(
            __from,
            &const {
                __sikkerkey::field(
                    "port",
                    "",
                    __sikkerkey::FieldSource::FieldOfStruct("port"),
                )
            },
            __sikkerkey::value::<u16>,
            || -> u16 { (5432) },
        );
        let __field_flags = __sikkerkey::optional(
            __from,
            &const {
                __sikkerkey::field(
                    "flags",
                    "",
                    __sikkerkey::FieldSource::Whole(__sikkerkey::Secret::Id("sk_flags")),
                )
            },
            __sikkerkey::json::<Flags>,
        );
        let __field_replica = __sikkerkey::nested_inherit::<Option<Replica>>()
            .read(
                __from,
                __sikkerkey::nesting(
                    "replica",
                    ::core::option::Option::Some(__sikkerkey::Secret::Name("REPLICA")),
                ),
            );
        let (
            ::core::option::Option::Some(__field_host),
            ::core::option::Option::Some(__field_port),
            ::core::option::Option::Some(__field_flags),
            ::core::option::Option::Some(__field_replica),
        ) = (__field_host, __field_port, __field_flags, __field_replica) else {
            return ::core::option::Option::None;
        };
        let __value = Self {
            host: __field_host,
            port: __field_port,
            flags: __field_flags,
            replica: __field_replica,
            started: __sikkerkey::skipped(|| -> Clock {
                __sikkerkey::default::<Clock>()
            }),
        };
        __sikkerkey::validated(__from, __value, Database::validate)
    }
    fn places(&self, __to: &mut ::sikkerkey::__private::Places) {
        ::sikkerkey::__private::place(__to, "host", &raw const self.host);
        ::sikkerkey::__private::place(__to, "port", &raw const self.port);
        ::sikkerkey::__private::place(__to, "flags", &raw const self.flags);
        ::sikkerkey::__private::nested_inherit::<Option<Replica>>()
            .place(__to, "replica", &self.replica);
    }
}
#[automatically_derived]
impl ::sikkerkey::__private::Visit for Database {}

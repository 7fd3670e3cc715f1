{{ newest_as_of(ref('int_organisations_versioned'), 'organisation_id') }}

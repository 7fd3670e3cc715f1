{{ newest_as_of(ref('int_mcp_servers_versioned'), 'mcp_id') }}

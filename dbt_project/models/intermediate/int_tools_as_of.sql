{{ newest_as_of(ref('int_tools_versioned'), 'mcp_id, tool_name') }}

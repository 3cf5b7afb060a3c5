// Errors of JSON-RPC and MCP that a request may end with.
export class RpcError extends Error {
  constructor(code, message, data) {
    super(message);
    this.code = code;
    this.data = data;
  }

  toJSON() {
    return { code: this.code, message: this.message, data: this.data };
  }
}

export const METHOD_NOT_FOUND = -32601;
export const INVALID_PARAMS = -32602;
export const RESOURCE_NOT_FOUND = -32002;
export const MISSING_CAPABILITY = -32021;
export const UNSUPPORTED_VERSION = -32022;

export const unknownMethod = (method) => new RpcError(METHOD_NOT_FOUND, `Method not found: ${method}`);
export const invalid = (message, data) => new RpcError(INVALID_PARAMS, message, data);
export const missing = (requiredCapabilities) =>
  new RpcError(MISSING_CAPABILITY, `This request needs ${Object.keys(requiredCapabilities).join(', ')}`, {
    requiredCapabilities,
  });

// The request is complete only with answers of the client's: 2026-07-28 says this with a result.
export class InputRequired extends Error {
  constructor(inputRequests, requestState) {
    super('input required');
    this.inputRequests = inputRequests;
    this.requestState = requestState;
  }
}

// The client withdrew the request.
export class Withdrawn extends Error {}

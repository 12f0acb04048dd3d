-- A bearer token's check for nginx with Lua, as somebody who wants speed would write it: libcrypto through the FFI, and an
-- LRU cache of the tokens that were found to be in order, keyed by the whole token. Times are checked at every request.

local ffi = require "ffi"
local cjson = require "cjson.safe"
local lrucache = require "resty.lrucache"
local base64 = require "ngx.base64"

ffi.cdef [[
typedef struct bio_st BIO;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX;
BIO *BIO_new_mem_buf(const void *octets, int length);
EVP_PKEY *PEM_read_bio_PUBKEY(BIO *bio, void *key, void *callback, void *word);
EVP_MD_CTX *EVP_MD_CTX_new(void);
int EVP_MD_CTX_reset(EVP_MD_CTX *context);
const EVP_MD *EVP_sha256(void);
int EVP_DigestVerifyInit(EVP_MD_CTX *context, void *key_context, const EVP_MD *digest, void *engine, EVP_PKEY *key);
int EVP_DigestVerify(EVP_MD_CTX *context, const char *signature, size_t signature_length, const char *octets, size_t length);
void ERR_clear_error(void);
]]
local crypto = ffi.C
local null = ffi.cast("void *", 0)

local function read(path)
   local file = assert(io.open(path))
   local text = file:read("*a")
   file:close()
   return text
end

-- A number of a signature as DER writes it: without leading zeros, and never read as negative.
local function der_integer(octets)
   octets = octets:gsub("^%z+", "")
   if octets == "" or octets:byte() >= 0x80 then octets = "\0" .. octets end
   return "\2" .. string.char(#octets) .. octets
end

-- libcrypto takes the signature of ECDSA as DER, a JWT has the two numbers one after the other.
local function der(signature)
   if #signature ~= 64 then return nil end
   local numbers = der_integer(signature:sub(1, 32)) .. der_integer(signature:sub(33))
   return "\48" .. string.char(#numbers) .. numbers
end

local function has(list, wanted)
   if type(list) ~= "table" then return list == wanted end
   for _, one in ipairs(list) do
      if one == wanted then return true end
   end
   return false
end

local function new(settings)
   local pem = read(settings.public_key)
   local key = crypto.PEM_read_bio_PUBKEY(crypto.BIO_new_mem_buf(pem, #pem), null, null, null)
   assert(key ~= nil, "a public key")
   local context, digest = crypto.EVP_MD_CTX_new(), crypto.EVP_sha256()
   local remembered = assert(lrucache.new(settings.remembered))

   local function signed(message, signature)
      if settings.algorithm == "ES256" then signature = der(signature) end
      if not signature then return false end
      crypto.EVP_MD_CTX_reset(context)
      local verified = crypto.EVP_DigestVerifyInit(context, null, digest, null, key) == 1
         and crypto.EVP_DigestVerify(context, signature, #signature, message, #message) == 1
      if not verified then crypto.ERR_clear_error() end
      return verified
   end

   -- What has to be known of the token at each request, or the status to refuse it with.
   local function examined(token)
      local header, payload, signature = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
      local head = header and cjson.decode(base64.decode_base64url(header) or "")
      if type(head) ~= "table" or head.alg ~= settings.algorithm then return nil, 401 end
      local octets = base64.decode_base64url(signature)
      if not octets or not signed(header .. "." .. payload, octets) then return nil, 401 end
      local claims = cjson.decode(base64.decode_base64url(payload) or "")
      if type(claims) ~= "table" or type(claims.exp) ~= "number" then return nil, 401 end
      if claims.iss ~= settings.issuer or not has(claims.aud, settings.audience) then return nil, 401 end
      local scope = " " .. tostring(claims.scope) .. " "
      if not scope:find(" " .. settings.scope .. " ", 1, true) then return nil, 403 end
      return { expires = claims.exp, begins = tonumber(claims.nbf) or 0 }
   end

   return function()
      local header = ngx.var.http_authorization
      local token = header and header:match("^[Bb]earer (.+)$")
      if not token then return ngx.exit(401) end
      local known = remembered:get(token)
      if not known then
         local found, status = examined(token)
         if not found then return ngx.exit(status) end
         known = found
         remembered:set(token, known)
      end
      local now = ngx.time()
      if now >= known.expires or now < known.begins then return ngx.exit(401) end
   end
end

return { new = new }

#include "rpc/named.h"

#include <google/protobuf/descriptor.h>

#include <charconv>
#include <vector>

#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Type = FieldDescriptor::CppType;

std::string in_braces(std::string_view name) { return "{" + std::string(name) + "}"; }

Result<json::Value> number_of(double value, json::Arena& arena) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 6).ptr;
  return json::Value::number_from_text(arena.copy({text, static_cast<std::size_t>(end - text)}));
}

json::Value map_value(const Message& message, const FieldDescriptor& field, json::Arena& arena) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  json::ObjectBuilder map(arena, static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const auto text = [&entry](int number) {
      return entry.GetReflection()->GetString(entry, entry.GetDescriptor()->FindFieldByNumber(number));
    };
    map.add(text(1), text(2));
  }
  return map.build();
}

json::Value list_value(const Message& message, const FieldDescriptor& field, json::Arena& arena) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  json::ArrayBuilder list(arena, static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i)
    list.add(reflection.GetRepeatedString(message, &field, i));
  return list.build();
}

Result<json::Value> value_of(const Message& message, const FieldDescriptor& field, json::Arena& arena) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map())
    return map_value(message, field, arena);
  if (field.is_repeated())
    return list_value(message, field, arena);
  switch (field.cpp_type()) {
    case Type::CPPTYPE_STRING: return json::Value::string(arena, reflection.GetString(message, &field));
    case Type::CPPTYPE_INT64: return json::Value::number(arena, reflection.GetInt64(message, &field));
    case Type::CPPTYPE_BOOL: return json::Value::boolean(reflection.GetBool(message, &field));
    case Type::CPPTYPE_DOUBLE: return number_of(reflection.GetDouble(message, &field), arena);
    default: return Status(Code::kInternal, "a message has a field of a type that no request has");
  }
}

void fill_map(const json::Value& object, const FieldDescriptor& field, Message& message) {
  const FieldDescriptor& type = *field.message_type()->FindFieldByNumber(2);
  for (const json::Member& member : object.members()) {
    Message* entry = message.GetReflection()->AddMessage(&message, &field);
    const Reflection& reflection = *entry->GetReflection();
    reflection.SetString(entry, entry->GetDescriptor()->FindFieldByNumber(1), std::string(member.key()));
    if (type.cpp_type() == Type::CPPTYPE_MESSAGE)
      fill(member.value, *reflection.MutableMessage(entry, &type));
    else if (type.cpp_type() == Type::CPPTYPE_STRING)
      reflection.SetString(entry, &type, member.value.is_string() ? std::string(member.value.as_string())
                                                                  : text_of(member.value));
    else if (const auto number = member.value.as_int64(); member.value.is_number() && number.ok())
      reflection.SetInt64(entry, &type, *number);
  }
}

void fill_list(const json::Value& list, const FieldDescriptor& field, Message& message) {
  if (!list.is_array())
    return;
  const Reflection& reflection = *message.GetReflection();
  for (const json::Value& element : list.elements()) {
    if (field.cpp_type() == Type::CPPTYPE_MESSAGE)
      fill(element, *reflection.AddMessage(&message, &field));
    else if (element.is_string())
      reflection.AddString(&message, &field, std::string(element.as_string()));
  }
}

double double_of(const json::Value& value) {
  double out = 0;
  const std::string_view text = value.number_text();
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

void fill_field(const json::Value& value, const FieldDescriptor& field, Message& message) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) {
    if (value.is_object())
      fill_map(value, field, message);
  } else if (field.is_repeated()) {
    fill_list(value, field, message);
  } else if (field.cpp_type() == Type::CPPTYPE_STRING && value.is_string()) {
    reflection.SetString(&message, &field, std::string(value.as_string()));
  } else if (field.cpp_type() == Type::CPPTYPE_BOOL && value.is_bool()) {
    reflection.SetBool(&message, &field, value.as_bool());
  } else if (field.cpp_type() == Type::CPPTYPE_DOUBLE && value.is_number()) {
    reflection.SetDouble(&message, &field, double_of(value));
  } else if (field.cpp_type() == Type::CPPTYPE_INT64 && value.is_number()) {
    if (const auto number = value.as_int64(); number.ok())
      reflection.SetInt64(&message, &field, *number);
  }
}

}  // namespace

std::string path_of(const Call& call, const Message& request) {
  std::string path(call.path);
  const std::size_t open = path.find('{');
  if (open == std::string::npos)
    return path;
  const std::size_t close = path.find('}', open);
  const FieldDescriptor* field =
      request.GetDescriptor()->FindFieldByName(path.substr(open + 1, close - open - 1));
  const std::string value = request.GetReflection()->GetString(request, field);
  path.replace(open, close - open + 1, value);
  if (value.empty() && path.ends_with('/'))
    path.pop_back();
  return path;
}

Result<json::Value> data_of(const Call& call, const Message& request, json::Arena& arena) {
  std::vector<const FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  json::ObjectBuilder data(arena, fields.size());
  for (const FieldDescriptor* field : fields) {
    if (call.path.find(in_braces(field->name())) != std::string_view::npos)
      continue;
    COFFER_ASSIGN(const json::Value value, value_of(request, *field, arena));
    data.add(field->name(), value);
  }
  return data.size() == 0 ? json::Value::null() : data.build();
}

void fill(const json::Value& object, Message& message) {
  if (!object.is_object())
    return;
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (const json::Value* value = object.find(field.name()); value != nullptr)
      fill_field(*value, field, message);
  }
}

Status decode_named(core::Exchange& exchange, Message& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  fill(data, reply);
  return ok_status();
}

}  // namespace coffer::rpc
